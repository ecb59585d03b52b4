package soak

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/types"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/attempts"
)

// noticed is how soon after the cluster knows of a lost pod the DataUpload must tell of it.
const noticed = 15 * time.Second

var _ = Describe("a backup pod that is lost while data moves", func() {
	It("is followed by another one, on another node, that completes the job", func(ctx context.Context) {
		startAgents(ctx)
		uploads, victims := map[string]*upload{}, map[string]types.UID{}
		for _, how := range []string{killed, removed, evicted} {
			u := frozen(ctx, v2alpha1.PhaseInProgress)
			pod := seen.get(u.name).pod()
			uploads[how], victims[how] = u, pod.UID
			Expect(lose(ctx, pod, how)).To(BeTrue())
			signalMover(pod, resume)
		}
		lostAt := time.Now()
		for how, u := range uploads {
			Expect(seen.await(ctx, u.name, noticed-time.Since(lostAt), func(r record) bool { return attempts.Number(r.du) == 2 })).
				To(Succeed(), "%s is noticed", how)
		}
		AddReportEntry("three losses noticed after", time.Since(lostAt).Round(time.Second/10).String())
		for how, u := range uploads {
			expectEndedRight(ctx, u, suffered{pods: []types.UID{victims[how]}})
			r := seen.get(u.name)
			Expect(r.phase()).To(Equal(v2alpha1.PhaseCompleted), "%s: %s", how, r.message())
			Expect(r.order).To(HaveLen(2), "%s: pods", how)
			lost := attempts.LostBy(r.du)
			Expect(lost).To(ConsistOf(HaveField("Pod", victims[how])), how)
			Expect(r.pod().Spec.NodeName).NotTo(Equal(lost[0].Node), "%s: the second attempt runs elsewhere", how)
			Expect(r.message()).To(ContainSubstring("attempt 2 of 3"), how)
		}
		expectNothingLeft(ctx, uploads[killed], uploads[removed], uploads[evicted])
		expectRestored(ctx, uploads[killed], uploads[removed], uploads[evicted])
	})
})
