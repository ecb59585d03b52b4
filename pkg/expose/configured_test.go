package expose_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/node-agent/node-agent/pkg/config"
	"github.com/node-agent/node-agent/pkg/expose"
)

// azure is what an agent has for Azure's workload identity.
var azure = expose.AgentTemplate{
	Labels:      map[string]string{"azure.workload.identity/use": "true"},
	Annotations: map[string]string{"iam.amazonaws.com/role": "backup"},
}

func podOf(configured config.Upload, template expose.AgentTemplate) *corev1.Pod {
	return expose.BackupPod(dataUpload(), configured, volumeOf(corev1.PersistentVolumeFilesystem), template)
}

func required(pod *corev1.Pod) []corev1.NodeSelectorTerm {
	return pod.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
}

var (
	notWindows = corev1.NodeSelectorRequirement{Key: "kubernetes.io/os", Operator: "NotIn", Values: []string{"windows"}}
	inZone     = corev1.NodeSelectorRequirement{Key: "zone", Operator: "In", Values: []string{"a"}}
)

var _ = Describe("loadAffinity", func() {
	selector := &metav1.LabelSelector{
		MatchLabels: map[string]string{"disk": "ssd", "arch": "arm"},
		MatchExpressions: []metav1.LabelSelectorRequirement{
			{Key: "critical", Operator: metav1.LabelSelectorOpDoesNotExist},
			{Key: "rack", Operator: metav1.LabelSelectorOpNotIn, Values: []string{"r1", "r2"}},
		},
	}
	selected := []corev1.NodeSelectorRequirement{
		{Key: "arch", Operator: "In", Values: []string{"arm"}}, {Key: "disk", Operator: "In", Values: []string{"ssd"}},
		{Key: "critical", Operator: "DoesNotExist"}, {Key: "rack", Operator: "NotIn", Values: []string{"r1", "r2"}},
	}

	It("is required of the node, and Windows is excluded all the same", func() {
		terms := required(podOf(config.Upload{Pod: config.Pod{NodeSelector: selector}}, expose.AgentTemplate{}))
		Expect(terms).To(Equal([]corev1.NodeSelectorTerm{{MatchExpressions: append(selected, notWindows)}}))
	})

	It("is required beside the topology of the volume, in each of its alternatives", func() {
		volume := volumeOf(corev1.PersistentVolumeFilesystem)
		byName := corev1.NodeSelectorTerm{MatchFields: []corev1.NodeSelectorRequirement{{Key: "metadata.name", Operator: "In", Values: []string{"n"}}}}
		volume.Topology = &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{
			{MatchExpressions: []corev1.NodeSelectorRequirement{inZone}}, byName,
		}}
		terms := required(expose.BackupPod(dataUpload(), config.Upload{Pod: config.Pod{NodeSelector: selector}}, volume, expose.AgentTemplate{}))
		all := append(selected, notWindows)
		Expect(terms).To(Equal([]corev1.NodeSelectorTerm{
			{MatchExpressions: append([]corev1.NodeSelectorRequirement{inZone}, all...)},
			{MatchExpressions: all, MatchFields: byName.MatchFields},
		}))
	})

	It("stays as it was configured, however many pods are built from it", func() {
		before := selector.DeepCopy()
		for range 3 {
			pod := podOf(config.Upload{Pod: config.Pod{NodeSelector: selector}}, expose.AgentTemplate{})
			required(pod)[0].MatchExpressions[3].Values[0] = "changed"
		}
		Expect(selector).To(Equal(before))
	})

	It("of an empty selector is any node", func() {
		terms := required(podOf(config.Upload{Pod: config.Pod{NodeSelector: &metav1.LabelSelector{}}}, expose.AgentTemplate{}))
		Expect(terms).To(Equal([]corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{notWindows}}}))
	})
})

var _ = Describe("a linked clone of vSphere", func() {
	It("keeps away from the nodes that have the source attached", func() {
		volume := volumeOf(corev1.PersistentVolumeFilesystem)
		volume.AttachedTo = []string{"node-1", "node-2"}
		terms := required(expose.BackupPod(dataUpload(), config.Upload{}, volume, expose.AgentTemplate{}))
		Expect(terms).To(HaveLen(1))
		Expect(terms[0].MatchFields).To(Equal([]corev1.NodeSelectorRequirement{
			{Key: "metadata.name", Operator: "NotIn", Values: []string{"node-1"}},
			{Key: "metadata.name", Operator: "NotIn", Values: []string{"node-2"}},
		}))
	})

	It("is asked for by an annotation of the backupPVC", func() {
		Expect(expose.NeedsOtherNode(map[string]string{"csi.vsphere.volume/fast-provisioning": "true"})).To(BeTrue())
		Expect(expose.NeedsOtherNode(map[string]string{"example.com/clone": "linked"})).To(BeFalse())
		Expect(expose.NeedsOtherNode(nil)).To(BeFalse())
	})
})

var _ = DescribeTable("podResources are set each on its own", func(configured *config.PodResources, want corev1.ResourceRequirements) {
	pod := podOf(config.Upload{Pod: config.Pod{PodResources: configured}}, expose.AgentTemplate{})
	Expect(pod.Spec.Containers[0].Resources).To(Equal(want))
},
	Entry("none", nil, corev1.ResourceRequirements{}),
	Entry("zeros, which are none", &config.PodResources{CPURequest: resource.MustParse("0")}, corev1.ResourceRequirements{}),
	Entry("one", &config.PodResources{MemoryLimit: resource.MustParse("1Gi")},
		corev1.ResourceRequirements{Limits: corev1.ResourceList{"memory": resource.MustParse("1Gi")}}),
	Entry("all",
		&config.PodResources{
			CPURequest: resource.MustParse("1"), MemoryRequest: resource.MustParse("1Gi"), EphemeralStorageRequest: resource.MustParse("2Gi"),
			CPULimit: resource.MustParse("3"), MemoryLimit: resource.MustParse("4Gi"), EphemeralStorageLimit: resource.MustParse("5Gi"),
		},
		corev1.ResourceRequirements{
			Requests: corev1.ResourceList{"cpu": resource.MustParse("1"), "memory": resource.MustParse("1Gi"), "ephemeral-storage": resource.MustParse("2Gi")},
			Limits:   corev1.ResourceList{"cpu": resource.MustParse("3"), "memory": resource.MustParse("4Gi"), "ephemeral-storage": resource.MustParse("5Gi")},
		}),
)

var _ = Describe("a backup pod", func() {
	It("has the configured priority class", func() {
		Expect(podOf(config.Upload{Pod: config.Pod{PriorityClassName: "low"}}, azure).Spec.PriorityClassName).To(Equal("low"))
	})

	It("takes labels and annotations of the agent if none are configured", func() {
		pod := podOf(config.Upload{}, azure)
		Expect(pod.Labels).To(HaveKeyWithValue("azure.workload.identity/use", "true"))
		Expect(pod.Annotations).To(Equal(azure.Annotations))
	})

	It("has configured ones instead, but never instead of those that it is found by", func() {
		configured := config.Upload{Pod: config.Pod{
			PodLabels: map[string]string{
				"team": "storage", "velero.io/data-upload": "x", "velero.io/exposer-pod-group": "x", expose.OwnerUIDLabel: "x",
			},
			PodAnnotations: map[string]string{"note": "y"},
		}}
		pod := podOf(configured, azure)
		Expect(pod.Labels).To(Equal(map[string]string{
			"team": "storage", "velero.io/data-upload": "backup-1-x7k2p", "velero.io/exposer-pod-group": "snapshot-exposer", expose.OwnerUIDLabel: uid,
			"velero.io/exclude-from-backup": "true",
		}))
		Expect(pod.Annotations).To(Equal(configured.PodAnnotations))
		Expect(azure.Labels).To(HaveLen(1))
		Expect(configured.PodLabels).To(HaveKeyWithValue("velero.io/data-upload", "x"))
	})

	It("tolerates what the agent tolerates and what is configured, each once", func() {
		spot := corev1.Toleration{Key: "spot", Operator: corev1.TolerationOpExists}
		backup := corev1.Toleration{
			Key: "dedicated", Value: "backup", Effect: corev1.TaintEffectNoExecute, TolerationSeconds: new(int64(60)),
		}
		again := *backup.DeepCopy()
		agent := expose.AgentTemplate{Tolerations: []corev1.Toleration{spot}}
		pod := podOf(config.Upload{Pod: config.Pod{Tolerations: []corev1.Toleration{backup, spot, again}}}, agent)
		Expect(pod.Spec.Tolerations).To(Equal([]corev1.Toleration{spot, backup}))
		Expect(podOf(config.Upload{}, agent).Spec.Tolerations).To(Equal([]corev1.Toleration{spot}))
	})
})
