package mover_test

import (
	"context"
	"fmt"
	"net/http"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/mover/result"
)

var _ = Describe("A mover whose DataUpload runs", func() {
	It("starts at once if the DataUpload is InProgress", func(ctx context.Context) {
		b := newBench(ctx, v2alpha1.PhaseInProgress)
		b.start()
		request := b.uploading()
		Expect(request.SourceNamespace).To(Equal("shop"))
		Expect(request.SourcePVC).To(Equal("data"))
		Expect(request.Path).To(Equal("/uid"))
		Expect(request.Block).To(BeFalse())
		Expect(request.DataUploadUID).To(BeEquivalentTo(b.du.UID))
		Expect(request.AsyncOperationID).To(Equal("du-1.2"))
		Expect(request.ParallelFiles).To(BeZero())

		b.uploader.succeed()
		message, err := b.ended()
		Expect(err).NotTo(HaveOccurred())
		Expect(result.Parse(message)).To(Equal(result.Result{
			SnapshotID:       snapshotID,
			Source:           result.Volume{ByPath: "/uid", VolumeMode: "Filesystem"},
			TotalBytes:       100,
			IncrementalBytes: 30,
		}))
		Expect(b.progress(ctx)).To(Equal(v2alpha1.DataMoveOperationProgress{TotalBytes: 100, BytesDone: 100}))
		Expect(b.uploader.closes()).To(Equal(1))
	})

	It("waits for InProgress and then needs six API calls and one watch", func(ctx context.Context) {
		b := newBench(ctx, v2alpha1.PhaseAccepted)
		b.start()
		b.waiting()
		b.setPhase(ctx, v2alpha1.PhasePrepared)
		b.patch(ctx, `{"status":{"message":"waiting for a slot"}}`)
		Consistently(b.uploader.begun).WithTimeout(quiet).ShouldNot(Receive())
		b.setPhase(ctx, v2alpha1.PhaseInProgress)
		request := b.uploading()
		request.Progress(progressOf(100, 50))
		Eventually(b.patches).WithTimeout(patience).Should(Equal(1))
		b.uploader.succeed()
		_, err := b.ended()
		Expect(err).NotTo(HaveOccurred())

		calls, watches := b.transport.counted()
		velero := "/namespaces/" + b.namespace
		Expect(calls).To(Equal([]string{
			http.MethodGet + " /apis/velero.io/v2alpha1" + velero + "/datauploads/" + duName,
			http.MethodGet + " /apis/velero.io/v1" + velero + "/backupstoragelocations/" + locationName,
			http.MethodGet + " /api/v1" + velero + "/secrets/velero-repo-credentials",
			http.MethodPatch + " /apis/velero.io/v2alpha1" + velero + "/datauploads/" + duName,
			http.MethodPatch + " /apis/velero.io/v2alpha1" + velero + "/datauploads/" + duName,
			http.MethodPatch + " /apis/velero.io/v2alpha1" + velero + "/datauploads/" + duName,
		}))
		Expect(watches).To(Equal(1))
	})

	It("uploads a device", func(ctx context.Context) {
		b := newBench(ctx, v2alpha1.PhaseInProgress)
		b.options.VolumeMode = corev1.PersistentVolumeBlock
		b.start()
		Expect(b.uploading().Block).To(BeTrue())
		b.uploader.succeed()
		message, err := b.ended()
		Expect(err).NotTo(HaveOccurred())
		Expect(message).To(ContainSubstring(`"volumeMode":"Block"`))
	})

	DescribeTable("reads as many files at a time as asked for",
		func(ctx context.Context, value string, want int, warned bool) {
			b := newBench(ctx, v2alpha1.PhaseInProgress)
			b.patch(ctx, `{"spec":{"dataMoverConfig":{"ParallelFilesUpload":"`+value+`"}}}`)
			b.start()
			Expect(b.uploading().ParallelFiles).To(Equal(want))
			b.uploader.succeed()
			_, err := b.ended()
			Expect(err).NotTo(HaveOccurred())
			if warned {
				Expect(b.warnings()).To(ConsistOf(ContainSubstring("ParallelFilesUpload must be a positive number")))
			} else {
				Expect(b.warnings()).To(BeEmpty())
			}
		},
		Entry("a number", "7", 7, false),
		Entry("zero", "0", 0, true),
		Entry("a negative number", "-1", 0, true),
		Entry("a word", "many", 0, true),
		Entry("a number out of range", "99999999999999999999", 0, true),
	)

	DescribeTable("compares the volume with the snapshot asked for", func(ctx context.Context, asked, parent string, full bool) {
		b := newBench(ctx, v2alpha1.PhaseInProgress)
		b.patch(ctx, `{"spec":{"parentSnapshot":"`+asked+`"}}`)
		b.start()
		request := b.uploading()
		Expect(request.ParentSnapshot).To(Equal(parent))
		Expect(request.Full).To(Equal(full))
		b.uploader.succeed()
		_, err := b.ended()
		Expect(err).NotTo(HaveOccurred())
	},
		Entry("the default", "", "", false),
		Entry("the latest", "auto", "", false),
		Entry("none", "none", "", true),
		Entry("one by its ID", "k0123", "k0123", false),
	)

	It("reports a snapshot that was saved before the cancellation took effect", func(ctx context.Context) {
		b := newBench(ctx, v2alpha1.PhaseInProgress)
		late := &lateUploader{fakeUploader: b.uploader}
		b.options.Open = late.open
		b.start()
		b.uploading()
		b.patch(ctx, `{"spec":{"cancel":true}}`)
		message, err := b.ended()
		Expect(err).NotTo(HaveOccurred())
		Expect(result.Parse(message)).To(HaveField("SnapshotID", snapshotID))
		Expect(b.patches()).To(BeZero(), "progress of a canceled DataUpload")
	})
})

// stop is what can end a move early.
type stop struct {
	act  func(ctx context.Context, b *bench)
	want string
	// code is the exit code.
	code int
	// discards says that what was uploaded must be discarded.
	discards bool
}

var (
	stopByCancel = stop{
		act:  func(ctx context.Context, b *bench) { b.patch(ctx, `{"spec":{"cancel":true}}`) },
		want: "DataUpload %s was asked to cancel: data path is canceled", code: 1, discards: true,
	}
	stopByCanceling = stop{
		act:  func(ctx context.Context, b *bench) { b.setPhase(ctx, v2alpha1.PhaseCanceling) },
		want: "DataUpload %s was asked to cancel: data path is canceled", code: 1, discards: true,
	}
	stopByFailed = stop{
		act:  func(ctx context.Context, b *bench) { b.setPhase(ctx, v2alpha1.PhaseFailed) },
		want: "DataUpload %s is Failed already: data path is canceled", code: 1, discards: true,
	}
	stopByCompleted = stop{
		act:  func(ctx context.Context, b *bench) { b.setPhase(ctx, v2alpha1.PhaseCompleted) },
		want: "DataUpload %s is Completed already: data path is canceled", code: 1,
	}
	stopByDeletion = stop{
		act:  func(ctx context.Context, b *bench) { Expect(k8s.Delete(ctx, b.du.DeepCopy())).To(Succeed()) },
		want: "DataUpload %s is being deleted: data path is canceled", code: 1, discards: true,
	}
	stopByRemoval = stop{
		act: func(ctx context.Context, b *bench) { b.remove(ctx) },
		// A watch may show the deletion or only that nothing is left.
		want: "DataUpload %s is gone: data path is canceled", code: 1,
	}
	stopByNewDataUpload = stop{
		act: func(ctx context.Context, b *bench) {
			b.remove(ctx)
			b.createDataUpload(ctx, v2alpha1.PhaseInProgress)
		},
		want: "DataUpload %s is gone: data path is canceled", code: 1,
	}
	stopByLoss = stop{
		act:  func(ctx context.Context, b *bench) { b.lose(ctx, 1, v2alpha1.PhaseAccepted) },
		want: "attempt 1 at DataUpload %s was given up, it is at attempt 2", code: result.ExitRetryable,
	}
	stopByLaterAttempt = stop{
		act:  func(ctx context.Context, b *bench) { b.lose(ctx, 2, v2alpha1.PhaseInProgress) },
		want: "attempt 1 at DataUpload %s was given up, it is at attempt 3", code: result.ExitRetryable,
	}
	stopBySignal = stop{
		act:  func(_ context.Context, b *bench) { b.signal() },
		want: "upload of DataUpload %s was interrupted by SIGTERM", code: result.ExitRetryable,
	}
	// A canceled pod gets the signal at the same time.
	stopByCancelAndSignal = stop{
		act: func(ctx context.Context, b *bench) {
			b.patch(ctx, `{"spec":{"cancel":true}}`)
			b.signal()
		},
		want: "DataUpload %s was asked to cancel: data path is canceled", code: 1, discards: true,
	}
)

var _ = Describe("A mover whose DataUpload must not run", func() {
	DescribeTable("does not begin when its pod starts late",
		func(ctx context.Context, phase v2alpha1.Phase, s stop) {
			b := newBench(ctx, phase)
			s.act(ctx, b)
			b.start()
			message, err := b.ended()
			expectStopped(b, message, err, s)
			Expect(b.uploader.begun).NotTo(Receive())
		},
		Entry("canceled while Prepared", v2alpha1.PhasePrepared, stopByCancel),
		Entry("canceled while InProgress", v2alpha1.PhaseInProgress, stopByCancel),
		Entry("Canceling", v2alpha1.PhaseInProgress, stopByCanceling),
		Entry("Failed", v2alpha1.PhaseInProgress, stopByFailed),
		Entry("Completed", v2alpha1.PhaseInProgress, stopByCompleted),
		Entry("being deleted", v2alpha1.PhaseInProgress, stopByDeletion),
		Entry("gone", v2alpha1.PhasePrepared, stopByRemoval),
		Entry("given up", v2alpha1.PhasePrepared, stopByLoss),
		Entry("at a later attempt", v2alpha1.PhasePrepared, stopByLaterAttempt),
	)

	DescribeTable("ends while it waits",
		func(ctx context.Context, s stop) {
			b := newBench(ctx, v2alpha1.PhasePrepared)
			b.start()
			b.waiting()
			s.act(ctx, b)
			message, err := b.ended()
			expectStopped(b, message, err, s)
			Expect(b.uploader.begun).NotTo(Receive())
		},
		Entry("when canceled", stopByCancel),
		Entry("when Canceling", stopByCanceling),
		Entry("when Failed", stopByFailed),
		Entry("when being deleted", stopByDeletion),
		Entry("when gone", stopByRemoval),
		Entry("when another takes its name", stopByNewDataUpload),
		Entry("when given up", stopByLoss),
		Entry("when at a later attempt", stopByLaterAttempt),
		Entry("on SIGTERM", stopBySignal),
	)

	DescribeTable("ends in the middle of the upload",
		func(ctx context.Context, s stop) {
			b := newBench(ctx, v2alpha1.PhaseInProgress)
			b.start()
			request := b.uploading()
			request.Progress(progressOf(100, 50))
			Eventually(b.clock.HasWaiters).WithTimeout(patience).Should(BeTrue(), "the first report must have been written")
			request.Progress(progressOf(100, 60))
			s.act(ctx, b)
			message, err := b.ended()
			expectStopped(b, message, err, s)
			if s.discards {
				Expect(b.uploader.discards()).To(HaveExactElements("shop/data " + string(b.du.UID)))
			} else {
				Expect(b.uploader.discards()).To(BeEmpty())
			}
			Expect(b.uploader.closes()).To(Equal(1))
			Expect(b.patches()).To(Equal(1), "progress must not be written any more")
			Expect(b.warnings()).To(BeEmpty())
		},
		Entry("when canceled", stopByCancel),
		Entry("when Canceling", stopByCanceling),
		Entry("when Failed", stopByFailed),
		Entry("when being deleted", stopByDeletion),
		Entry("when gone", stopByRemoval),
		Entry("when another takes its name", stopByNewDataUpload),
		Entry("when given up", stopByLoss),
		Entry("when at a later attempt", stopByLaterAttempt),
		Entry("on SIGTERM", stopBySignal),
	)

	It("is canceled even if SIGTERM is faster than the news", func(ctx context.Context) {
		b := newBench(ctx, v2alpha1.PhaseInProgress)
		b.intercept(deafWatch())
		b.start()
		b.uploading()
		stopByCancelAndSignal.act(ctx, b)
		message, err := b.ended()
		expectStopped(b, message, err, stopByCancelAndSignal)
		Expect(b.uploader.discards()).To(HaveLen(1), "nothing must be kept")
	})

	It("does not bring a DataUpload back", func(ctx context.Context) {
		b := newBench(ctx, v2alpha1.PhaseInProgress)
		b.intercept(deafWatch())
		b.uploader.confirmed = func() { b.remove(ctx) }
		b.start()
		b.uploading()
		b.uploader.succeed()
		_, err := b.ended()
		Expect(err).NotTo(HaveOccurred())
		Expect(b.patches()).To(Equal(2), "snapshot ID and progress")
		Expect(b.warnings()).To(ConsistOf("Cannot report progress"))
		Expect(client.IgnoreNotFound(k8s.Get(ctx, client.ObjectKeyFromObject(b.du), &v2alpha1.DataUpload{}))).To(Succeed())
		Expect(k8s.Get(ctx, client.ObjectKeyFromObject(b.du), &v2alpha1.DataUpload{})).NotTo(Succeed())
	})

	It("does not write into another DataUpload of the same name", func(ctx context.Context) {
		b := newBench(ctx, v2alpha1.PhaseInProgress)
		b.intercept(deafWatch())
		b.uploader.confirmed = func() {
			b.remove(ctx)
			b.createDataUpload(ctx, v2alpha1.PhaseAccepted)
		}
		b.start()
		b.uploading()
		b.uploader.succeed()
		_, err := b.ended()
		Expect(err).NotTo(HaveOccurred())
		Expect(b.patches()).To(Equal(2), "snapshot ID and progress")
		Expect(b.warnings()).To(ConsistOf("Cannot report progress"))
		Expect(b.progress(ctx)).To(Equal(v2alpha1.DataMoveOperationProgress{}))
	})
})

func expectStopped(b *bench, message string, err error, s stop) {
	GinkgoHelper()
	Expect(err).To(MatchError(message))
	Expect(message).To(Equal(fmt.Sprintf(s.want, b.namespace+"/"+duName)))
	Expect(exitCode(err)).To(Equal(s.code))
}
