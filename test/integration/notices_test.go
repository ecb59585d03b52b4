package integration

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
)

// noticesAdded makes of a good result one that says something about the volume.
func noticesAdded(good string) string {
	return good[:len(good)-1] + `,"notices":[{"code":"OwnersNotRestored","count":3,"example":"a/b"},{"code":"Newer","count":1}]}`
}

const saidNotices = "entries whose owner the volume does not take: 3 (for instance a/b); Newer: 1"

var _ = Describe("what a mover says about a volume", func() {
	said := ContainElements(
		Equal("Warning OwnersNotRestored entries whose owner the volume does not take: 3 (for instance a/b)"), Equal("Warning Other Newer: 1"))

	It("is told of a DataDownload when its volume is handed over", func(ctx context.Context) {
		d := newDownload()
		d.advance(ctx, v2alpha1.PhaseInProgress)
		Expect(d.EndPod(ctx, 0, "Completed", noticesAdded(goodRestore))).To(BeTrue())
		d.settleAll(ctx)
		Expect(d.get(ctx).Status.Phase).To(Equal(v2alpha1.PhaseCompleted))
		Expect(d.get(ctx).Status.Message).To(Equal(saidNotices))
		Expect(drain(d.recorder)).To(said)
	})

	It("is told of a DataUpload", func(ctx context.Context) {
		t := newTrial()
		t.advance(ctx, v2alpha1.PhaseInProgress)
		t.endPod(ctx, corev1.PodSucceeded, noticesAdded(goodResult))
		t.settleAll(ctx)
		Expect(t.upload(ctx).Status.Phase).To(Equal(v2alpha1.PhaseCompleted))
		Expect(t.upload(ctx).Status.Message).To(Equal(saidNotices))
		Expect(t.events()).To(said)
	})
})
