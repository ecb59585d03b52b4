package waiting

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/node-agent/node-agent/pkg/expose"
)

func explainPVC(e Exposed) Reason {
	name := e.Words.PVC + " " + e.PVC.Namespace + "/" + e.PVC.Name
	class := ""
	if e.PVC.Spec.StorageClassName != nil {
		class = *e.PVC.Spec.StorageClassName
	}
	described := fmt.Sprintf("%s (storage class %q, %s)", name, class, accessModes(e.PVC))
	switch event := e.complaint("PersistentVolumeClaim"); {
	case e.PVC.Status.Phase == corev1.ClaimLost:
		return Reason{
			Code:    ProvisioningFailed,
			Message: fmt.Sprintf("%s has lost its persistent volume %s", name, e.PVC.Spec.VolumeName),
		}
	case class == "":
		return Reason{
			Code: StorageClassMissing, Message: name + " has no storage class, so nobody makes a volume for it",
			Hint: "make a PersistentVolume that it can be bound to, or restore with a resource modifier that gives the target PVC a class",
		}
	case !e.StorageClassFound:
		return Reason{Code: StorageClassMissing, Message: fmt.Sprintf("%s: storage class %q not found", name, class)}
	case event != nil:
		return unprovisioned(e, described, event)
	case expose.SelectedNode(e.PVC) != "":
		return Reason{
			Code: e.Words.WaitingForPVCCode, Expected: true,
			Message: fmt.Sprintf("%s is being provisioned for node %s", described, expose.SelectedNode(e.PVC)),
		}
	case e.DelayedBinding:
		return Reason{
			Code: WaitingForFirstConsumer, Expected: true,
			Message: described + " is provisioned when the scheduler has chosen a node for the " + e.Words.Pod,
		}
	}
	// Nobody complains about a provisioner that does not run, so its name is said.
	return Reason{
		Code: e.Words.WaitingForPVCCode, Expected: true,
		Message: fmt.Sprintf("%s is not bound yet, provisioner %s has not made its volume", described, e.Provisioner),
	}
}

func unprovisioned(e Exposed, described string, event *corev1.Event) Reason {
	reason := Reason{Code: ProvisioningFailed, Message: described, Quote: event.Reason + ": " + textOf(event)}
	switch {
	case !aboutAccess.MatchString(event.Message):
	case hasMode(e.PVC, corev1.ReadOnlyMany):
		reason.Code, reason.Hint = ReadOnlyManyUnsupported, readOnlyHint(e.Class)
	case hasMode(e.PVC, corev1.ReadWriteOncePod):
		reason.Code, reason.Hint = ReadWriteOncePodRefused, onePodHint(e.Class)
	}
	return reason
}

// aboutAccess recognises what drivers say of an access mode that they do not support. Each has words of its own, from
// "invalid AccessModes [ReadOnlyMany]" to "Volume capability not supported".
var aboutAccess = regexp.MustCompile(`(?i)read-?only|read only|multi[-_ ]?node|access[-_ ]?mode|capabilit(y|ies)`)

func readOnlyHint(class string) string {
	return fmt.Sprintf("readOnly needs a CSI driver that makes ReadOnlyMany volumes from snapshots: if this one cannot, "+
		"remove %s from the node-agent ConfigMap", setting(class, "readOnly"))
}

func onePodHint(class string) string {
	return fmt.Sprintf("readWriteOncePod needs a CSI driver and sidecars that know ReadWriteOncePod: if these do not, "+
		"remove %s from the node-agent ConfigMap", setting(class, "readWriteOncePod"))
}

func hasMode(pvc *corev1.PersistentVolumeClaim, mode corev1.PersistentVolumeAccessMode) bool {
	return slices.Contains(pvc.Spec.AccessModes, mode)
}

func accessModes(pvc *corev1.PersistentVolumeClaim) string {
	modes := make([]string, 0, len(pvc.Spec.AccessModes))
	for _, mode := range pvc.Spec.AccessModes {
		modes = append(modes, string(mode))
	}
	return strings.Join(modes, ",")
}
