package faults

import (
	"context"
	"net/http"
	"strings"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/test/cluster"
)

// What a lagging cache has once led to is played here step by step, so that no seed is needed to see it again.

var _ = Describe("an object that is gone, which the cache still shows", Label("faults"), func() {
	DescribeTable("is looked at again, and that is no error", func(ctx context.Context, sc scenario) {
		row := newRow("the object is gone", sc.name)
		good := play(ctx, sc, conditions{})
		row.add(good, "on a good day")
		for i, c := range good.controller {
			if !strings.HasPrefix(c.kind, http.MethodPatch) && !strings.HasPrefix(c.kind, http.MethodDelete) {
				continue
			}
			if !everything && int64(i)%4 != GinkgoRandomSeed()%4 {
				continue
			}
			v := play(ctx, sc, conditions{controller: c, fault: fault{name: "answer 404", code: http.StatusNotFound}})
			row.add(v, c.String())
			Expect(v.errors).To(BeEmpty())
		}
		row.check()
	},
		Entry("of a DataUpload", scenario{name: "success", want: completed}),
		Entry("of a DataDownload", scenario{name: "restore: success", restores: true, want: completed}),
	)
})

// showsRunning shows the backup pod once more as it was when the mover ran, after it has ended.
func showsRunning(c client.Client) client.Client {
	var running *corev1.Pod
	return &altered{Client: c, get: func(obj client.Object) error {
		pod, isPod := obj.(*corev1.Pod)
		switch {
		case !isPod:
		case pod.Status.Phase == corev1.PodRunning:
			running = pod.DeepCopy()
		case running != nil && running.UID == pod.UID:
			running.DeepCopyInto(pod)
			running = nil
		}
		return nil
	}}
}

var _ = Describe("a mover that is done, which the cache does not show yet", Label("faults"), func() {
	It("keeps its snapshot known when the DataUpload is canceled", func(ctx context.Context) {
		sc := scenario{want: completed, acts: []act{{when: moverIsDone, do: cancel}}}
		v := play(ctx, sc, conditions{alter: showsRunning})
		Expect(v.clean()).To(BeTrue(), v.String())
		Expect(v.conflicts).To(Equal(1), "the pod is not deleted as if it still ran")
	})
})

// hidesAlias does not show the alias VolumeSnapshotContent for two passes after it was made.
func hidesAlias(c client.Client) client.Client {
	hidden := 0
	return &altered{Client: c, get: func(obj client.Object) error {
		if _, isContent := obj.(*snapshotv1.VolumeSnapshotContent); !isContent || hidden == 2 {
			return nil
		}
		hidden++
		return apierrors.NewNotFound(schema.GroupResource{}, obj.GetName())
	}}
}

var _ = Describe("an alias that was just made, which the cache does not show yet", Label("faults"), func() {
	It("goes before the source when the DataUpload is canceled", func(ctx context.Context) {
		bindAndCancel := func(ctx context.Context, r *run) { r.step(ctx); r.Cancel(ctx) }
		v := play(ctx, scenario{want: canceled, acts: []act{at(accepted, bindAndCancel)}}, conditions{alter: hidesAlias})
		Expect(v.clean()).To(BeTrue(), v.String())
	})
})

// hidesPVCs never shows the PVC that was made for the move.
func hidesPVCs(c client.Client) client.Client {
	return &altered{Client: c, get: func(obj client.Object) error {
		if _, isPVC := obj.(*corev1.PersistentVolumeClaim); isPVC && obj.GetNamespace() == cluster.Velero {
			return apierrors.NewNotFound(schema.GroupResource{}, obj.GetName())
		}
		return nil
	}}
}

var _ = Describe("a restorePVC that the cache does not show", Label("faults"), func() {
	It("is not taken for gone when the data is restored", func(ctx context.Context) {
		v := play(ctx, scenario{restores: true, want: completed}, conditions{alter: hidesPVCs})
		Expect(v.clean()).To(BeTrue(), v.String())
	})
})
