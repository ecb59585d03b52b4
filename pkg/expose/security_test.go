package expose_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"github.com/node-agent/node-agent/pkg/config"
	"github.com/node-agent/node-agent/pkg/expose"
)

// baseline are capabilities that the pod security level baseline lets a container add.
var baseline = []corev1.Capability{
	"AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP",
	"SETUID", "SYS_CHROOT",
}

func backupAndRestorePod(template expose.AgentTemplate, mode corev1.PersistentVolumeMode) map[string]*corev1.Pod {
	return map[string]*corev1.Pod{
		"backup": expose.BackupPod(dataUpload(), config.Upload{}, volumeOf(mode), template),
		"restore": expose.RestorePod(dataDownload("restore-1"), config.Download{}, expose.RestoreTarget{Mode: mode, WithCache: true},
			template),
	}
}

var _ = Describe("what a mover may do", func() {
	needed := map[string][]corev1.Capability{
		"backup":  {"DAC_OVERRIDE"},
		"restore": {"CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID"},
	}
	for _, mode := range []corev1.PersistentVolumeMode{corev1.PersistentVolumeFilesystem, corev1.PersistentVolumeBlock} {
		for what := range needed {
			It("is no more than "+what+" of a volume of mode "+string(mode)+" needs", func() {
				pod := backupAndRestorePod(expose.AgentTemplate{}, mode)[what]
				Expect(pod.Spec.SecurityContext.SeccompProfile).To(HaveValue(HaveField("Type", corev1.SeccompProfileTypeRuntimeDefault)))
				may := pod.Spec.Containers[0].SecurityContext
				Expect(may.AllowPrivilegeEscalation).To(HaveValue(BeFalse()))
				Expect(may.Privileged).To(BeNil())
				Expect(may.Capabilities.Drop).To(ConsistOf(corev1.Capability("ALL")))
				Expect(may.Capabilities.Add).To(ConsistOf(needed[what]))
				Expect(baseline).To(ContainElements(may.Capabilities.Add), "so that a namespace with pod security level baseline will do")
			})
		}
	}
})

var _ = DescribeTable("the root file system is read-only, and there is one directory to write to",
	func(change func(*expose.AgentTemplate), want string, ours bool) {
		template, err := expose.TemplateOf(veleroDaemonSet(), nil)
		Expect(err).NotTo(HaveOccurred())
		change(&template)
		for what, pod := range backupAndRestorePod(template, corev1.PersistentVolumeFilesystem) {
			mover := pod.Spec.Containers[0]
			Expect(mover.SecurityContext.ReadOnlyRootFilesystem).To(HaveValue(BeTrue()), what)
			for _, name := range []string{"VELERO_SCRATCH_DIR", "TMPDIR"} {
				var values []string
				for _, variable := range mover.Env {
					if variable.Name == name {
						values = append(values, variable.Value)
					}
				}
				Expect(values).To(Equal([]string{want}), what+" "+name)
			}
			mount := HaveField("MountPath", "/mover-scratch")
			volume := And(HaveField("Name", "mover-scratch"), HaveField("EmptyDir", Not(BeNil())))
			if ours {
				Expect(mover.VolumeMounts).To(ContainElement(mount))
				Expect(pod.Spec.Volumes).To(ContainElement(volume))
			} else {
				Expect(mover.VolumeMounts).NotTo(ContainElement(mount))
				Expect(pod.Spec.Volumes).NotTo(ContainElement(volume))
			}
		}
	},
	Entry("the agent names none", func(*expose.AgentTemplate) {}, "/mover-scratch", true),
	Entry("the agent's is a volume", scratchIs("/scratch"), "/scratch", false),
	Entry("the agent's is below a volume", scratchIs("/scratch/movers/"), "/scratch/movers/", false),
	Entry("the agent's only begins like a volume", scratchIs("/scratches"), "/mover-scratch", true),
	Entry("the agent's was a folder of its node, or none", scratchIs("/host_pods/scratch"), "/mover-scratch", true),
	Entry("the agent's cannot be written to", func(t *expose.AgentTemplate) {
		scratchIs("/scratch")(t)
		t.VolumeMounts[0].ReadOnly = true
	}, "/mover-scratch", true),
)

func scratchIs(dir string) func(*expose.AgentTemplate) {
	return func(t *expose.AgentTemplate) {
		t.Env = append(t.Env, corev1.EnvVar{Name: "VELERO_SCRATCH_DIR", Value: dir}, corev1.EnvVar{Name: "TMPDIR", Value: "/tmp"})
	}
}
