package waiting

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/node-agent/node-agent/pkg/config/problem"
	"github.com/node-agent/node-agent/pkg/expose"
)

// aboutLabels recognises container runtimes that could not give a volume its SELinux label.
var aboutLabels = regexp.MustCompile(`(?i)lsetxattr|relabel|selinux|set(ting)? (file )?label`)

// withHint adds to what a node says of a pod which setting is behind it. A volume that is mounted read-only can neither
// be relabelled, nor does every driver mount one that is made from a snapshot.
func (e Exposed) withHint(reason Reason) Reason {
	switch {
	case !isReadOnly(e.Pod):
	case aboutLabels.MatchString(reason.Quote) && !hasSPC(e.Pod):
		reason.Code, reason.Hint = SELinuxRelabelFailed, spcHint(e.Class)
	case reason.Code == MountFailed && aboutAccess.MatchString(reason.Quote):
		reason.Hint = readOnlyHint(e.Class)
	}
	return reason
}

// FailureHint says what to change when a mover has failed because of a setting, or nothing. class is as in Exposed.
func FailureHint(pod *corev1.Pod, class, failure string) string {
	if isReadOnly(pod) && !hasSPC(pod) && strings.Contains(failure, "permission denied") {
		return spcHint(class)
	}
	return ""
}

func spcHint(class string) string {
	return fmt.Sprintf("where SELinux is enforced, a volume that is mounted read-only can be read only with "+
		"%s: true in the node-agent ConfigMap", setting(class, "spcNoRelabeling"))
}

// setting names a setting of section backupPVC. The name of a class may be empty: that is where volumes without one have theirs.
func setting(class, key string) string { return problem.Path("backupPVC", class, key) }

func isReadOnly(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Spec.Volumes, func(v corev1.Volume) bool {
		return v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ReadOnly
	})
}

func hasSPC(pod *corev1.Pod) bool {
	security := pod.Spec.SecurityContext
	return security != nil && security.SELinuxOptions != nil && security.SELinuxOptions.Type == expose.SPCType
}
