package soak

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
)

// patience is far more than any step takes on a busy machine.
const patience = 90 * time.Second

// startAgents runs two agents until the end of the spec.
func startAgents(ctx context.Context) *crew {
	GinkgoHelper()
	agents, err := startCrew(context.WithoutCancel(ctx), nodes[0], nodes[1])
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(agents.stop()).To(Succeed()) })
	return agents
}

// begin starts an upload of a source.
func begin(ctx context.Context, from *source) *upload {
	GinkgoHelper()
	u, err := startUpload(ctx, from, "backup")
	Expect(err).NotTo(HaveOccurred())
	return u
}

// frozen starts an upload and stops its mover, so that it stays in the phase that is waited for.
func frozen(ctx context.Context, phase v2alpha1.Phase) *upload {
	GinkgoHelper()
	u := begin(ctx, sources[2])
	Expect(seen.await(ctx, u.name, patience, func(r record) bool {
		pod := r.pod()
		return pod != nil && signalMover(pod, freeze)
	})).To(Succeed(), "freeze the mover of %s", u.name)
	expectPhase(ctx, u, phase)
	return u
}

func expectPhase(ctx context.Context, u *upload, phase v2alpha1.Phase) {
	GinkgoHelper()
	err := seen.await(ctx, u.name, patience, func(r record) bool { return r.phase() == phase })
	last := seen.get(u.name)
	Expect(err).NotTo(HaveOccurred(), "%s is %s, not %s: %s", u.name, last.phase(), phase, last.message())
}

func expectEndedRight(ctx context.Context, u *upload, done suffered) {
	GinkgoHelper()
	_ = seen.await(ctx, u.name, patience, record.settled) // complaints tells if it is not
	Expect(complaints(seen.get(u.name), done)).To(BeEmpty(), u.name)
}

func expectNothingLeft(ctx context.Context, uploads ...*upload) {
	GinkgoHelper()
	Eventually(leftovers).WithArguments(ctx, uploads).Should(BeEmpty())
}

// expectRestored restores what was Completed and compares it with its source.
func expectRestored(ctx context.Context, uploads ...*upload) {
	GinkgoHelper()
	from := &restorer{}
	defer func() { Expect(from.close(ctx)).To(Succeed()) }()
	for _, u := range uploads {
		if r := seen.get(u.name); r.phase() == v2alpha1.PhaseCompleted {
			Expect(from.differences(ctx, u, r.du.Status.SnapshotID)).To(BeEmpty(), u.name)
		}
	}
}
