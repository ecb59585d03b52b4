package expose_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"github.com/node-agent/node-agent/pkg/expose"
)

var _ = Describe("the tolerations of a backup pod", func() {
	// stateTaints are what a node has that is about to go, has gone, or cannot run a pod yet.
	stateTaints := []string{
		"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable", "node.kubernetes.io/unschedulable",
		"node.kubernetes.io/memory-pressure", "node.kubernetes.io/disk-pressure", "node.kubernetes.io/pid-pressure",
		"node.kubernetes.io/network-unavailable", "node.kubernetes.io/out-of-service",
		"node.cloudprovider.kubernetes.io/uninitialized", "node.cloudprovider.kubernetes.io/shutdown",
		"ToBeDeletedByClusterAutoscaler", "DeletionCandidateOfClusterAutoscaler", "startup-taint.cluster-autoscaler.kubernetes.io/x",
		"karpenter.sh/disrupted", "karpenter.sh/disruption", "karpenter.sh/unregistered",
		"aws-node-termination-handler/spot-itn", "cloud.google.com/impending-node-termination", "ebs.csi.aws.com/agent-not-ready",
	}
	tolerationsOf := func(agent []corev1.Toleration, taints ...corev1.Taint) []corev1.Toleration {
		GinkgoHelper()
		daemonSet := veleroDaemonSet()
		daemonSet.Spec.Template.Spec.Tolerations = agent
		template, err := expose.TemplateOf(daemonSet, taints)
		Expect(err).NotTo(HaveOccurred())
		return template.Tolerations
	}
	exists := func(key string, effect corev1.TaintEffect) corev1.Toleration {
		return corev1.Toleration{Key: key, Operator: corev1.TolerationOpExists, Effect: effect}
	}

	It("are the agent's own, but for those of the state of a node", func() {
		dedicated := corev1.Toleration{Key: "dedicated", Operator: corev1.TolerationOpEqual, Value: "storage", Effect: corev1.TaintEffectNoSchedule}
		spot := exists("karpenter.sh/capacity-type", "")
		agent := []corev1.Toleration{dedicated}
		for _, key := range stateTaints {
			agent = append(agent, exists(key, ""))
		}
		Expect(tolerationsOf(append(agent, spot))).To(Equal([]corev1.Toleration{dedicated, spot}))
	})

	It("are those of the taints that nodes have today, where the agent tolerates everything", func() {
		taints := []corev1.Taint{
			{Key: "dedicated", Value: "storage", Effect: corev1.TaintEffectNoSchedule}, {Key: "dedicated", Value: "db", Effect: corev1.TaintEffectNoSchedule},
			{Key: "node-role.kubernetes.io/control-plane", Effect: corev1.TaintEffectNoSchedule}, {Key: "gpu", Effect: corev1.TaintEffectNoExecute},
		}
		for _, key := range stateTaints {
			taints = append(taints, corev1.Taint{Key: key, Effect: corev1.TaintEffectNoExecute})
		}
		everything := exists("", "")
		Expect(tolerationsOf([]corev1.Toleration{everything}, taints...)).To(Equal([]corev1.Toleration{
			exists("dedicated", corev1.TaintEffectNoSchedule), exists("gpu", corev1.TaintEffectNoExecute),
			exists("node-role.kubernetes.io/control-plane", corev1.TaintEffectNoSchedule),
		}))

		By("or everything of one effect, for a time")
		brief := exists("", corev1.TaintEffectNoExecute)
		brief.TolerationSeconds = new(int64(60))
		gpu := exists("gpu", corev1.TaintEffectNoExecute)
		gpu.TolerationSeconds = new(int64(60))
		Expect(tolerationsOf([]corev1.Toleration{brief}, taints...)).To(Equal([]corev1.Toleration{gpu}))
		Expect(tolerationsOf([]corev1.Toleration{everything})).To(BeEmpty(), "no node has a taint")
	})
})
