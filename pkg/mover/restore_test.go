package mover_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/attempts"
	"github.com/node-agent/node-agent/pkg/location"
	"github.com/node-agent/node-agent/pkg/mover"
	"github.com/node-agent/node-agent/pkg/mover/result"
	"github.com/node-agent/node-agent/pkg/notice"
	"github.com/node-agent/node-agent/pkg/repository"
	"github.com/node-agent/node-agent/pkg/repository/failure"
	"github.com/node-agent/node-agent/pkg/repository/repositorytest"
	"github.com/node-agent/node-agent/pkg/repository/restore"
	"github.com/node-agent/node-agent/pkg/repository/upload"
)

const (
	ddName         = "restore-abc"
	restoreFailure = "restore the volume of PersistentVolumeClaim new-shop/data: "
)

// restoreBench is a bench with a DataDownload.
type restoreBench struct {
	*bench

	dd       *v2alpha1.DataDownload
	restorer *fakeRestorer
	restore  mover.RestoreOptions
	opened   []repository.Access
}

func newRestoreBench(ctx context.Context, phase v2alpha1.Phase) *restoreBench {
	GinkgoHelper()
	b := &restoreBench{bench: newPlace(ctx), restorer: newFakeRestorer()}
	b.dd = &v2alpha1.DataDownload{
		ObjectMeta: metav1.ObjectMeta{Namespace: b.namespace, Name: ddName, Finalizers: []string{v2alpha1.Finalizer}},
		Spec: v2alpha1.DataDownloadSpec{
			TargetVolume:          v2alpha1.TargetVolumeSpec{Namespace: "new-shop", PVC: "data"},
			BackupStorageLocation: locationName,
			SnapshotID:            snapshotID,
			SourceNamespace:       "shop",
			OperationTimeout:      metav1.Duration{Duration: time.Minute},
		},
		Status: v2alpha1.DataDownloadStatus{TransferStatus: v2alpha1.TransferStatus{Phase: phase}},
	}
	Expect(k8s.Create(ctx, b.dd)).To(Succeed())
	b.restore = mover.RestoreOptions{
		Options: b.options.Options,
		Open: func(_ context.Context, access repository.Access) (mover.Restorer, error) {
			b.opened = append(b.opened, access)
			return b.restorer, nil
		},
	}
	b.restore.Name = ddName
	return b
}

func (b *restoreBench) start() {
	b.run(func(ctx context.Context) error { return mover.Restore(ctx, b.restore) })
}

func (b *restoreBench) restoring() restore.Request {
	GinkgoHelper()
	var request restore.Request
	Eventually(b.restorer.begun).WithTimeout(patience).Should(Receive(&request))
	return request
}

func (b *restoreBench) patchDD(ctx context.Context, body string) {
	GinkgoHelper()
	Expect(k8s.Patch(ctx, b.dd.DeepCopy(), mergePatch(body))).To(Succeed())
}

func (b *restoreBench) reported(ctx context.Context) v2alpha1.DataMoveOperationProgress {
	GinkgoHelper()
	dd := &v2alpha1.DataDownload{}
	Expect(k8s.Get(ctx, client.ObjectKeyFromObject(b.dd), dd)).To(Succeed())
	return dd.Status.Progress
}

// fakeRestorer restores as long as the spec wants it to.
type fakeRestorer struct {
	begun    chan restore.Request
	finish   chan error
	verified chan restore.Request
	differs  error
	notices  []notice.Notice
}

func newFakeRestorer() *fakeRestorer {
	return &fakeRestorer{
		begun: make(chan restore.Request, 1), finish: make(chan error, 1), verified: make(chan restore.Request, 1),
	}
}

func (r *fakeRestorer) Restore(ctx context.Context, request restore.Request) (restore.Result, error) {
	r.begun <- request
	select {
	case <-ctx.Done():
		return restore.Result{}, failure.ErrCanceled
	case err := <-r.finish:
		return restore.Result{TotalBytes: 100, Notices: r.notices}, err
	}
}

func (r *fakeRestorer) Verify(_ context.Context, request restore.Request) error {
	r.verified <- request
	return r.differs
}

func (*fakeRestorer) Close(context.Context) error { return nil }

// filesIn are the files below a directory.
func filesIn(dir string) []string {
	GinkgoHelper()
	var found []string
	Expect(filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			found = append(found, path)
		}
		return err
	})).To(Succeed())
	return found
}

var _ = Describe("A mover of a DataDownload", func() {
	It("waits for InProgress, restores and reports", func(ctx context.Context) {
		b := newRestoreBench(ctx, v2alpha1.PhaseAccepted)
		b.start()
		Consistently(b.restorer.begun).WithTimeout(quiet).ShouldNot(Receive())
		b.patchDD(ctx, `{"status":{"phase":"InProgress"}}`)
		request := b.restoring()
		Expect(request.SnapshotID).To(Equal(snapshotID))
		Expect(request.Path).To(Equal("/uid"))
		Expect(request.Block).To(BeFalse())
		Expect(request.Resume).To(BeFalse())
		Expect(b.opened).To(HaveExactElements(And(HaveField("VolumeNamespace", "shop"), HaveField("CacheDir", ""))))
		request.Progress(progressOf(100, 40))
		Eventually(func() v2alpha1.DataMoveOperationProgress { return b.reported(ctx) }).WithTimeout(patience).Should(
			Equal(v2alpha1.DataMoveOperationProgress{TotalBytes: 100, BytesDone: 40}))

		b.restorer.finish <- nil
		message, err := b.ended()
		Expect(err).NotTo(HaveOccurred())
		Expect(message).To(Equal(`{"target":{"byPath":"/uid","volumeMode":"Filesystem"},"totalBytes":100}`))
		Expect(result.ParseRestored(message)).To(HaveField("TotalBytes", int64(100)))
		Expect(b.reported(ctx)).To(Equal(v2alpha1.DataMoveOperationProgress{TotalBytes: 100, BytesDone: 100}))
		Expect(b.restorer.verified).NotTo(Receive())
		calls, watches := b.transport.counted()
		Expect(calls).To(HaveLen(5))
		Expect(watches).To(Equal(1))
	})

	It("goes on where an earlier attempt has ended, with a cache on a volume", func(ctx context.Context) {
		b := newRestoreBench(ctx, v2alpha1.PhaseInProgress)
		lost := &v2alpha1.DataDownload{}
		attempts.Record(lost, attempts.Lost{At: metav1.Now(), Reason: "evicted"})
		b.patchDD(ctx, fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, attempts.Annotation, lost.Annotations[attempts.Annotation]))
		b.restore.Attempt = 2
		b.restore.VolumeMode = corev1.PersistentVolumeBlock
		b.restore.CacheVolumePath = "/cache"
		b.restore.CacheLimit = 64
		b.start()
		request := b.restoring()
		Expect(request.Resume).To(BeTrue())
		Expect(request.Block).To(BeTrue())
		Expect(b.opened).To(HaveExactElements(And(HaveField("CacheDir", "/cache"), HaveField("CacheLimit", int64(64)))))
		b.restorer.finish <- nil
		message, err := b.ended()
		Expect(err).NotTo(HaveOccurred())
		Expect(message).To(ContainSubstring(`"volumeMode":"Block"`))
	})

	DescribeTable("takes its settings",
		func(ctx context.Context, settings string, parallel int) {
			b := newRestoreBench(ctx, v2alpha1.PhaseInProgress)
			b.patchDD(ctx, `{"spec":{"dataMoverConfig":`+settings+`}}`)
			b.start()
			request := b.restoring()
			Expect(request.ParallelFiles).To(Equal(parallel))
			b.restorer.finish <- nil
			_, err := b.ended()
			Expect(err).NotTo(HaveOccurred())
		},
		Entry("none", `null`, 0),
		Entry("as Velero writes them", `{"WriteSparseFiles":"true","ParallelFilesDownload":"7"}`, 7),
		Entry("as its defaults", `{"WriteSparseFiles":"false"}`, 0),
	)

	DescribeTable("refuses what cannot be meant, for good",
		func(ctx context.Context, body, want string) {
			b := newRestoreBench(ctx, v2alpha1.PhaseInProgress)
			b.patchDD(ctx, body)
			b.start()
			message, err := b.ended()
			Expect(message).To(Equal(want))
			Expect(exitCode(err)).To(Equal(1))
			Expect(b.opened).To(BeEmpty())
		},
		Entry("zero files", `{"spec":{"dataMoverConfig":{"ParallelFilesDownload":"0"}}}`,
			`spec.dataMoverConfig: ParallelFilesDownload is "0", it must be a number greater than 0`),
		Entry("many files", `{"spec":{"dataMoverConfig":{"ParallelFilesDownload":"many"}}}`,
			`spec.dataMoverConfig: ParallelFilesDownload is "many", it must be a number greater than 0`),
		Entry("no snapshot", `{"spec":{"snapshotID":""}}`,
			"spec.snapshotID is empty: the DataUpload that it comes from did not complete"),
	)

	DescribeTable("ends early",
		func(ctx context.Context, end func(context.Context, *restoreBench), want string, code int) {
			b := newRestoreBench(ctx, v2alpha1.PhaseInProgress)
			b.start()
			b.restoring()
			end(ctx, b)
			message, err := b.ended()
			Expect(message).To(Equal(fmt.Sprintf(want, "DataDownload "+b.namespace+"/"+ddName)))
			Expect(exitCode(err)).To(Equal(code))
		},
		Entry("when canceled", func(ctx context.Context, b *restoreBench) { b.patchDD(ctx, `{"spec":{"cancel":true}}`) },
			"%s was asked to cancel: data path is canceled", 1),
		Entry("when ended", func(ctx context.Context, b *restoreBench) { b.patchDD(ctx, `{"status":{"phase":"Failed"}}`) },
			"%s is Failed already: data path is canceled", 1),
		Entry("when being deleted", func(ctx context.Context, b *restoreBench) {
			Expect(k8s.Delete(ctx, b.dd.DeepCopy())).To(Succeed())
		}, "%s is being deleted: data path is canceled", 1),
		Entry("when gone", func(ctx context.Context, b *restoreBench) {
			b.patchDD(ctx, `{"metadata":{"finalizers":null}}`)
			Expect(k8s.Delete(ctx, b.dd.DeepCopy())).To(Succeed())
		}, "%s is gone: data path is canceled", 1),
		Entry("when stopped", func(_ context.Context, b *restoreBench) { b.signal() },
			"restore of %s was interrupted by SIGTERM", result.ExitRetryable),
	)

	DescribeTable("says why the restore failed",
		func(ctx context.Context, cause error, want string, code int) {
			b := newRestoreBench(ctx, v2alpha1.PhaseInProgress)
			b.start()
			b.restoring()
			b.restorer.finish <- cause
			message, err := b.ended()
			Expect(message).To(Equal(restoreFailure + want))
			Expect(exitCode(err)).To(Equal(code))
		},
		Entry("the volume", &failure.TargetError{Op: "write", Path: "a/b", Err: os.ErrPermission}, "write a/b: permission denied", 1),
		Entry("the snapshot", failure.ErrNoSnapshot, "the snapshot does not exist", 1),
		Entry("the network", &net.OpError{Op: "dial", Err: errors.New("refused")}, "dial: refused", result.ExitRetryable),
	)

	DescribeTable("says what the volume does not hold, or fails for it", func(ctx context.Context, strict bool) {
		b := newRestoreBench(ctx, v2alpha1.PhaseInProgress)
		b.restore.Strict = strict
		b.restorer.notices = []notice.Notice{{Code: notice.OwnersNotRestored, Count: 3, Example: "a/b"}}
		b.start()
		Expect(b.restoring().Strict).To(Equal(strict))
		b.restorer.finish <- nil
		message, err := b.ended()
		Expect(err).NotTo(HaveOccurred())
		Expect(result.ParseRestored(message)).To(HaveField("Notices", b.restorer.notices))
	},
		Entry("by default", false),
		Entry("if asked to", true),
	)

	DescribeTable("compares what it has written if asked to", func(ctx context.Context, differs error, want string) {
		b := newRestoreBench(ctx, v2alpha1.PhaseInProgress)
		b.restore.Verify = true
		b.restorer.differs = differs
		b.start()
		b.restoring()
		b.restorer.finish <- nil
		message, err := b.ended()
		Expect(b.restorer.verified).To(Receive(HaveField("SnapshotID", snapshotID)))
		Expect(message).To(ContainSubstring(want))
		if differs != nil {
			Expect(exitCode(err)).To(Equal(1))
		} else {
			Expect(err).NotTo(HaveOccurred())
		}
	},
		Entry("and it is the same", nil, `"totalBytes":100`),
		Entry("and it is not", &failure.DifferenceError{
			Total: 1, Differences: []failure.Entry{{Path: "a/b", Reason: "byte 7 differs"}},
		}, restoreFailure+"1 entry of the volume not as in the snapshot: a/b: byte 7 differs"),
	)

	DescribeTable("restores from a real repository", func(ctx context.Context, accessMode velerov1.BackupStorageLocationAccessMode) {
		b := newRestoreBench(ctx, v2alpha1.PhaseInProgress)
		access, err := location.Resolve(ctx, k8s, b.namespace, locationName, "shop", GinkgoT().TempDir(), b.options.Log)
		Expect(err).NotTo(HaveOccurred())
		Expect(repository.Initialize(ctx, access)).To(Succeed())
		opened, err := repository.Open(ctx, access)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(opened.Close)
		volume := GinkgoT().TempDir()
		Expect(os.WriteFile(filepath.Join(volume, "file"), []byte("content"), 0o640)).To(Succeed())
		uploaded, err := upload.Run(ctx, opened, upload.Request{
			SourceNamespace: "shop", SourcePVC: "data", Path: volume, DataUploadUID: "uid",
		})
		Expect(err).NotTo(HaveOccurred())
		repositorytest.AddManifests(ctx, opened)
		place := &velerov1.BackupStorageLocation{}
		place.Namespace, place.Name = b.namespace, locationName
		Expect(k8s.Patch(ctx, place, mergePatch(`{"spec":{"accessMode":"`+string(accessMode)+`"}}`))).To(Succeed())
		before := filesIn(access.Location.Spec.Config["fspath"])

		b.patchDD(ctx, `{"spec":{"snapshotID":"`+uploaded.SnapshotID+`"}}`)
		b.restore.VolumePath = GinkgoT().TempDir()
		b.restore.CacheVolumePath = GinkgoT().TempDir()
		b.restore.Open = mover.OpenRestorer
		b.restore.Verify = true
		b.start()
		message, err := b.ended()
		Expect(err).NotTo(HaveOccurred())
		Expect(result.ParseRestored(message)).To(HaveField("TotalBytes", int64(7)))
		Expect(os.ReadFile(filepath.Join(b.restore.VolumePath, "file"))).To(BeEquivalentTo("content"))
		Expect(filepath.Glob(filepath.Join(b.restore.CacheVolumePath, "kopia", "*"))).NotTo(BeEmpty())
		Expect(filesIn(access.Location.Spec.Config["fspath"])).To(Equal(before), "nothing is written into the location")
	},
		Entry("in a location that may be written", velerov1.BackupStorageLocationReadWrite),
		Entry("in a location that is read-only", velerov1.BackupStorageLocationReadOnly),
	)
})
