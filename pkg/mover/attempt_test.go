package mover_test

import (
	"context"
	"net"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/mover/result"
)

var _ = Describe("A mover of a later attempt", func() {
	It("waits for its turn", func(ctx context.Context) {
		b := newBench(ctx, v2alpha1.PhaseInProgress)
		b.options.Attempt = 2
		b.start()
		b.waiting()
		By("which is not that of the first attempt, nor before the second one starts")
		b.lose(ctx, 1, v2alpha1.PhaseAccepted)
		Consistently(b.uploader.begun).WithTimeout(quiet).ShouldNot(Receive())
		b.setPhase(ctx, v2alpha1.PhasePrepared)
		b.setPhase(ctx, v2alpha1.PhaseInProgress)
		b.uploading()
		b.uploader.succeed()
		_, err := b.ended()
		Expect(err).NotTo(HaveOccurred())
	})

	It("does not discard what a still later one may need", func(ctx context.Context) {
		b := newBench(ctx, v2alpha1.PhasePrepared)
		b.options.Attempt = 2
		b.lose(ctx, 1, v2alpha1.PhaseInProgress)
		b.start()
		b.uploading()
		b.lose(ctx, 2, v2alpha1.PhaseCanceling)
		message, err := b.ended()
		Expect(err).To(MatchError(message))
		Expect(message).To(HaveSuffix("was given up, it is at attempt 3"))
		Expect(b.uploader.discards()).To(BeEmpty())
	})
})

var _ = Describe("A mover that is cut off from the API server", func() {
	var (
		b        *bench
		failures chan error
	)

	// uploadDeaf returns when all is uploaded, and the DataUpload could not be read since.
	uploadDeaf := func(ctx context.Context) {
		GinkgoHelper()
		b = newBench(ctx, v2alpha1.PhaseInProgress)
		failures = make(chan error, 100)
		b.intercept(deafWatch())
		b.intercept(failingCalls(failures))
		b.start()
		b.uploading()
		for range cap(failures) {
			failures <- &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
		}
		b.uploader.succeed()
		b.pausing(1)
	}

	reconnect := func() {
		GinkgoHelper()
		for len(failures) > 0 {
			Expect(failures).To(Receive())
		}
	}

	It("saves no snapshot while another attempt may run", func(ctx context.Context) {
		uploadDeaf(ctx)
		b.lose(ctx, 1, v2alpha1.PhaseInProgress)
		Consistently(b.done).WithTimeout(quiet).ShouldNot(Receive())

		By("being connected again")
		reconnect()
		b.clock.Step(time.Minute)
		message, err := b.ended()
		expectStopped(b, message, err, stopByLoss)
		Expect(b.uploader.discards()).To(BeEmpty())
	})

	It("saves the snapshot when it is connected again and the attempt is its own", func(ctx context.Context) {
		uploadDeaf(ctx)
		reconnect()
		b.clock.Step(time.Minute)
		message, err := b.ended()
		Expect(err).NotTo(HaveOccurred())
		Expect(result.Parse(message)).To(HaveField("SnapshotID", snapshotID))
		Expect(k8s.Get(ctx, client.ObjectKeyFromObject(b.du), b.du)).To(Succeed())
		Expect(b.du.Annotations).To(HaveKeyWithValue("node-agent.io/snapshot-id", snapshotID))
	})

	It("ends with its lease, and leaves what it uploaded to another attempt", func(ctx context.Context) {
		uploadDeaf(ctx)
		b.clock.Step(90*time.Second - time.Millisecond)
		b.pausing(1)
		Expect(b.done).NotTo(Receive())
		b.clock.Step(time.Millisecond)
		message, err := b.ended()
		Expect(message).To(HaveSuffix("was interrupted: the API server has not answered for 1m30s, and another attempt may begin"))
		Expect(exitCode(err)).To(Equal(result.ExitRetryable))
		Expect(b.uploader.discards()).To(BeEmpty())
	})

	It("stops on SIGTERM", func(ctx context.Context) {
		uploadDeaf(ctx)
		b.signal()
		message, err := b.ended()
		expectStopped(b, message, err, stopBySignal)
	})
})

var _ = Describe("A mover that may read its DataUpload, but not write to it", func() {
	It("gives up after ten minutes", func(ctx context.Context) {
		b := newBench(ctx, v2alpha1.PhaseInProgress)
		b.intercept(interceptor.Funcs{Patch: func(
			context.Context, client.WithWatch, client.Object, client.Patch, ...client.PatchOption,
		) error {
			return errForbidden
		}})
		b.start()
		b.uploading()
		b.uploader.succeed()
		Eventually(func() int {
			b.clock.Step(time.Second)
			return len(b.done)
		}).WithTimeout(patience).Should(Equal(1))
		message, err := b.ended()
		Expect(message).To(ContainSubstring("confirm that the snapshot is wanted: patch DataUpload"))
		Expect(exitCode(err)).To(Equal(1))
	})
})
