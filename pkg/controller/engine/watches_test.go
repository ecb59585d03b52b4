package engine

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/expose"
)

// claims is a client that knows one PVC.
type claims struct {
	client.Client
	known *corev1.PersistentVolumeClaim
}

func (c claims) Get(_ context.Context, _ client.ObjectKey, obj client.Object, _ ...client.GetOption) error {
	c.known.DeepCopyInto(obj.(*corev1.PersistentVolumeClaim))
	return nil
}

var _ = DescribeTable("a change of a PVC, and an Event about it, lead to the DataDownload",
	func(ctx context.Context, pvc *corev1.PersistentVolumeClaim) {
		wakes := ContainElement(reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "velero", Name: "restore-1"}})
		Expect(user(ctx, pvc)).To(wakes)
		e := &Engine{Client: claims{known: pvc}}
		Expect(e.involved(ctx, &corev1.Event{InvolvedObject: corev1.ObjectReference{
			Kind: "PersistentVolumeClaim", Namespace: pvc.Namespace, Name: pvc.Name,
		}})).To(wakes)
	},
	Entry("that it was made for", expose.RestorePVC(restore(), &corev1.PersistentVolumeClaim{})),
	Entry("that it was made for, for the cache", expose.CachePVC(restore(), "fast", 1)),
	Entry("that it stands in the way of", &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{
		Namespace: "velero", Name: "restore-1",
		OwnerReferences: []metav1.OwnerReference{{Name: "somebody-else", Controller: new(true)}},
	}}),
)

func restore() *v2alpha1.DataDownload {
	return &v2alpha1.DataDownload{ObjectMeta: metav1.ObjectMeta{Namespace: "velero", Name: "restore-1", UID: "uid-1"}}
}
