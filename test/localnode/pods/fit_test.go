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
		Expect(fitsNode(&corev1.Pod{}, node, nil)).To(MatchError(ContainSubstring("1 node(s) were unschedulable")))
	})

	It("does not fit where its volume cannot be used", func() {
		elsewhere := &corev1.PersistentVolume{Spec: corev1.PersistentVolumeSpec{NodeAffinity: &corev1.VolumeNodeAffinity{
			Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{expression("zone", "In", "b")},
			}}},
		}}}
		Expect(fitsNode(&corev1.Pod{}, testNode(), []*corev1.PersistentVolume{elsewhere})).To(
			MatchError(ContainSubstring("1 node(s) didn't match PersistentVolume's node affinity")))
	})

	It("that asks for nothing fits", func() {
		Expect(fitsNode(&corev1.Pod{}, testNode(), []*corev1.PersistentVolume{{}})).To(Succeed())
	})
})
