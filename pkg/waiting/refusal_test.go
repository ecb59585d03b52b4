package waiting_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/node-agent/node-agent/pkg/config"
	"github.com/node-agent/node-agent/pkg/waiting"
)

var _ = DescribeTable("what the API server refuses", func(text, code string, words ...string) {
	reason := waiting.Refused("backup pod", "gold", text)
	Expect(reason.Code).To(Equal(code))
	Expect(reason.Expected).To(BeFalse())
	for _, word := range append(words, "backup pod is refused", text) {
		Expect(reason.Text()).To(ContainSubstring(word))
	}
},
	Entry("quota", `pods "b" is forbidden: exceeded quota: small, requested: pods=1, used: pods=0, limited: pods=0`, waiting.QuotaExceeded),
	Entry("quota that wants limits", `pods "b" is forbidden: failed quota: small: must specify limits.cpu for: b`, waiting.QuotaExceeded),
	Entry("priority class", `pods "b" is forbidden: no PriorityClass with name high was found`, waiting.PriorityClassMissing,
		`priority class "high" not found`, "priorityClassName in the node-agent ConfigMap"),
	Entry("pod security", `pods "b" is forbidden: violates PodSecurity "baseline:latest": hostPath volumes`, waiting.PodSecurityRefused,
		"enforces pod security level baseline"),
	Entry("pod security and spc_t", `violates PodSecurity "baseline:v1.30": seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: type "spc_t")`,
		waiting.PodSecurityRefused, "level baseline, which forbids the SELinux type spc_t that backupPVC.gold.spcNoRelabeling asks for"),
	Entry("OpenShift", `pods "b" is forbidden: unable to validate against any security context constraint: [...]`, waiting.PodSecurityRefused,
		"service account needs a security context constraint"),
	Entry("webhook that denies", `admission webhook "policy.example.com" denied the request: no`, waiting.AdmissionRefused),
	Entry("webhook that is not there", `Internal error occurred: failed calling webhook "policy.example.com": connection refused`,
		waiting.WebhookUnavailable),
	Entry("rights", `pods is forbidden: User "u" cannot create resource "pods" in API group "" in the namespace "velero"`, waiting.RightsMissing),
)

var _ = DescribeTable("the hint for a mover that failed", func(section config.BackupPVC, failure string, hint bool) {
	_, pod := backup(section)
	if hint {
		Expect(waiting.FailureHint(pod, "gold", failure)).To(ContainSubstring("backupPVC.gold.spcNoRelabeling: true"))
	} else {
		Expect(waiting.FailureHint(pod, "gold", failure)).To(BeEmpty())
	}
},
	Entry("permission denied, read-only", config.BackupPVC{ReadOnly: true}, "1 entry of the volume could not be read: a: permission denied", true),
	Entry("permission denied, spc_t", config.BackupPVC{ReadOnly: true, SPCNoRelabeling: true}, "a: permission denied", false),
	Entry("permission denied, writable", config.BackupPVC{}, "a: permission denied", false),
	Entry("another failure, read-only", config.BackupPVC{ReadOnly: true}, "a: input/output error", false),
)
