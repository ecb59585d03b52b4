package pods

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/node-agent/node-agent/test/localnode/storage"
)

var _ = Describe("A pod that is gone before it could start", func() {
	It("keeps no volume", func(ctx SpecContext) {
		const namespace, node, driver, volume = "velero", "node-1", "driver", "volume"
		root := GinkgoT().TempDir()
		disks, err := storage.New(root)
		Expect(err).NotTo(HaveOccurred())
		Expect(disks.CreateVolume(storage.Volume{Name: volume})).To(Succeed())
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "pod", UID: "uid"},
			Spec: corev1.PodSpec{
				NodeName: node, RestartPolicy: corev1.RestartPolicyNever, ServiceAccountName: "none",
				Volumes: []corev1.Volume{{VolumeSource: corev1.VolumeSource{
					PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "claim"},
				}}},
			},
		}
		objects := fake.NewClientBuilder().WithObjects(pod,
			&corev1.PersistentVolumeClaim{
				ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "claim"},
				Spec:       corev1.PersistentVolumeClaimSpec{VolumeName: volume},
				Status:     corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound},
			},
			&corev1.PersistentVolume{
				ObjectMeta: metav1.ObjectMeta{Name: volume},
				Spec: corev1.PersistentVolumeSpec{PersistentVolumeSource: corev1.PersistentVolumeSource{
					CSI: &corev1.CSIPersistentVolumeSource{Driver: driver, VolumeHandle: volume},
				}},
			}).Build()
		events := record.NewFakeRecorder(1)
		k := &kubelet{
			Client: objects, disks: disks, options: Options{Nodes: []string{node}, Driver: driver, Root: root},
			events: map[string]record.EventRecorder{node: events}, pods: map[types.UID]*sandbox{},
		}
		request := reconcile.Request{NamespacedName: client.ObjectKeyFromObject(pod)}
		Expect(k.Reconcile(ctx, request)).To(HaveField("RequeueAfter", retry))
		Expect(events.Events).To(Receive(ContainSubstring("failed to fetch token")))

		Expect(objects.Delete(ctx, pod)).To(Succeed())
		Expect(k.Reconcile(ctx, request)).To(BeZero())
		Expect(disks.DeleteVolume(volume)).To(Succeed())
	})
})
