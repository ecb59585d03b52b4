package engine

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"
)

var _ = Describe("a node in the cache", func() {
	It("keeps labels, taints and the Ready condition, and nothing else", func() {
		taints := []corev1.Taint{{Key: "dedicated", Effect: corev1.TaintEffectNoSchedule}}
		ready := corev1.NodeCondition{Type: corev1.NodeReady, Status: corev1.ConditionTrue}
		kept, err := nodeFacts(&corev1.Node{
			ObjectMeta: metav1.ObjectMeta{
				Name: "node-1", UID: "uid", ResourceVersion: "7", Labels: map[string]string{"disk": "ssd"},
				Annotations: map[string]string{"large": "thing"}, ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubelet"}},
			},
			Spec: corev1.NodeSpec{ProviderID: "cloud://1", Taints: taints},
			Status: corev1.NodeStatus{
				Conditions: []corev1.NodeCondition{{Type: corev1.NodeMemoryPressure}, ready},
				Images:     []corev1.ContainerImage{{Names: []string{"image"}}},
			},
		})
		Expect(err).NotTo(HaveOccurred())
		Expect(kept).To(Equal(&corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: "node-1", UID: "uid", ResourceVersion: "7", Labels: map[string]string{"disk": "ssd"}},
			Spec:       corev1.NodeSpec{Taints: taints},
			Status:     corev1.NodeStatus{Conditions: []corev1.NodeCondition{ready}},
		}))
	})

	It("may be one whose deletion was missed", func() {
		gone := toolscache.DeletedFinalStateUnknown{Key: "node-1"}
		Expect(nodeFacts(gone)).To(Equal(gone))
	})
})
