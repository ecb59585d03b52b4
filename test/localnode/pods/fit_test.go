package pods

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func testNode() *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1", Labels: map[string]string{"zone": "a", "cpus": "8"}}}
}

func expression(key string, operator corev1.NodeSelectorOperator, values ...string) corev1.NodeSelectorRequirement {
	return corev1.NodeSelectorRequirement{Key: key, Operator: operator, Values: values}
}

func term(expressions ...corev1.NodeSelectorRequirement) corev1.NodeSelectorTerm {
	return corev1.NodeSelectorTerm{MatchExpressions: expressions}
}

func named(name string) corev1.Node {
	node := testNode()
	node.Name = name
	return *node
}

func preferring(node string) *corev1.Pod {
	return &corev1.Pod{Spec: corev1.PodSpec{Affinity: &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
		PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{{
			Weight:     1,
			Preference: corev1.NodeSelectorTerm{MatchFields: []corev1.NodeSelectorRequirement{expression("metadata.name", "In", node)}},
		}},
	}}}}
}

var _ = DescribeTable("Node selector terms",
	func(matched bool, terms ...corev1.NodeSelectorTerm) {
		Expect(matches(&corev1.NodeSelector{NodeSelectorTerms: terms}, testNode())).To(Equal(matched))
	},
	Entry("In", true, term(expression("zone", "In", "a", "b"))),
	Entry("In, but not there", false, term(expression("zone", "In", "b"))),
	Entry("NotIn", false, term(expression("zone", "NotIn", "a"))),
	Entry("NotIn of a missing label", true, term(expression("os", "NotIn", "windows"))),
	Entry("Exists", true, term(expression("zone", "Exists"))),
	Entry("DoesNotExist", false, term(expression("zone", "DoesNotExist"))),
	Entry("Gt", true, term(expression("cpus", "Gt", "4"))),
	Entry("Lt", false, term(expression("cpus", "Lt", "4"))),
	Entry("an unknown operator", false, term(expression("zone", "Like", "a"))),
	Entry("a field", true, corev1.NodeSelectorTerm{MatchFields: []corev1.NodeSelectorRequirement{expression("metadata.name", "In", "n1")}}),
	Entry("all expressions must hold", false, term(expression("zone", "In", "a"), expression("cpus", "In", "4"))),
	Entry("one term suffices", true,
		term(expression("zone", "In", "b")),
		term(expression("zone", "In", "a"))),
	Entry("an empty term", false, corev1.NodeSelectorTerm{}),
)

var _ = Describe("A pod", func() {
	It("does not fit a cordoned node", func() {
		node := testNode()
		node.Spec.Unschedulable = true
		Expect(obstacle(&corev1.Pod{}, node, nil)).To(Equal("node(s) were unschedulable"))
	})

	It("does not fit where its volume cannot be used", func() {
		elsewhere := &corev1.PersistentVolume{Spec: corev1.PersistentVolumeSpec{NodeAffinity: &corev1.VolumeNodeAffinity{
			Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{expression("zone", "In", "b")},
			}}},
		}}}
		Expect(obstacle(&corev1.Pod{}, testNode(), []*corev1.PersistentVolume{elsewhere})).To(
			Equal("node(s) didn't match PersistentVolume's node affinity"))
	})

	It("that asks for nothing fits", func() {
		Expect(obstacle(&corev1.Pod{}, testNode(), []*corev1.PersistentVolume{{}})).To(BeEmpty())
	})

	DescribeTable("among several nodes", func(pod *corev1.Pod, onNode map[string]int, chosen string) {
		nodes := []corev1.Node{named("n1"), named("n2"), named("n3")}
		nodes[2].Spec.Unschedulable = true
		Expect(choose(pod, nodes, nil, func(node string) int { return onNode[node] })).To(Equal(chosen))
	},
		Entry("takes the one with the fewest pods", &corev1.Pod{}, map[string]int{"n1": 2, "n2": 1, "n3": 0}, "n2"),
		Entry("rather takes the one it prefers", preferring("n1"), map[string]int{"n1": 2, "n2": 1}, "n1"),
		Entry("takes another when that does not fit", preferring("n3"), map[string]int{"n1": 2, "n2": 1}, "n2"),
	)

	It("that fits nowhere is told of every node", func() {
		nodes := []corev1.Node{named("n1"), named("n2"), named("n3")}
		nodes[0].Spec.Unschedulable, nodes[1].Spec.Unschedulable = true, true
		pod := &corev1.Pod{Spec: corev1.PodSpec{NodeSelector: map[string]string{"zone": "b"}}}
		_, err := choose(pod, nodes, nil, func(string) int { return 0 })
		Expect(err).To(MatchError("0/3 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, 2 node(s) were unschedulable. " +
			"preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."))
	})
})
