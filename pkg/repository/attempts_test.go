package repository_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/kopia/kopia/repo"
	"github.com/kopia/kopia/repo/object"
	"github.com/kopia/kopia/snapshot"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/sirupsen/logrus"
	logrustest "github.com/sirupsen/logrus/hooks/test"

	"github.com/node-agent/node-agent/pkg/repository"
	"github.com/node-agent/node-agent/pkg/repository/failure"
	"github.com/node-agent/node-agent/pkg/repository/upload"
)

// recordedLog is what a repository logs.
type recordedLog struct{ *logrustest.Hook }

func recordLog(access *repository.Access) recordedLog {
	log, hook := logrustest.NewNullLogger()
	log.SetOutput(GinkgoWriter)
	access.Log = log
	return recordedLog{hook}
}

// readBytes is how much of the volume the upload has read.
func (l recordedLog) readBytes() int64 {
	GinkgoHelper()
	for _, entry := range l.AllEntries() {
		if entry.Message == "upload is complete" {
			return entry.Data["readBytes"].(int64)
		}
	}
	Fail("no upload is complete")
	return 0
}

func (l recordedLog) warnings() []string {
	var found []string
	for _, entry := range l.AllEntries() {
		if entry.Level == logrus.WarnLevel {
			found = append(found, entry.Message)
		}
	}
	return found
}

var _ = Describe("Attempts at the same DataUpload", func() {
	const (
		fileSize = 6 << 20
		files    = 8
		total    = files * fileSize
	)
	var (
		store     *directoryStore
		volume    string
		uploading upload.Request
	)

	// attempt uploads as another process would, and returns how much it has read.
	attempt := func(ctx context.Context, request upload.Request) (upload.Result, int64) {
		GinkgoHelper()
		access := store.access(namespace)
		logs := recordLog(&access)
		result, err := upload.Run(ctx, open(ctx, access), request)
		Expect(err).NotTo(HaveOccurred())
		Expect(logs.warnings()).To(BeEmpty())
		return result, logs.readBytes()
	}
	// kept are all snapshots of the volume, incomplete ones included.
	kept := func(ctx context.Context) []*snapshot.Manifest {
		GinkgoHelper()
		found, err := snapshot.ListSnapshots(ctx, likeVelero(ctx, store), source)
		Expect(err).NotTo(HaveOccurred())
		return found
	}

	BeforeEach(func() {
		store = &directoryStore{dir: GinkgoT().TempDir()}
		volume = GinkgoT().TempDir()
		for i := range files {
			put(volume, fmt.Sprintf("%d/file", i), randomBytes(uint64(400+i), fileSize), 0o644)
		}
		uploading = request(volume)
	})

	It("return the same snapshot if the first one got lost after it was saved", func(ctx context.Context) {
		first, _ := attempt(ctx, uploading)
		second, read := attempt(ctx, uploading)
		Expect(second).To(Equal(first))
		Expect(second.IncrementalBytes).To(BeEquivalentTo(total))
		Expect(read).To(BeZero())
		Expect(kept(ctx)).To(HaveExactElements(HaveField("ID", BeEquivalentTo(first.SnapshotID))))

		By("which another DataUpload does not")
		other, read := attempt(ctx, request(volume))
		Expect(other.SnapshotID).NotTo(Equal(first.SnapshotID))
		Expect(read).To(BeZero(), "the volume has not changed")
		Expect(kept(ctx)).To(HaveLen(2))
	})

	It("return the same snapshot if two of them upload at the same time", func(ctx context.Context) {
		var other upload.Result
		slow := uploading
		slow.Confirm = func(ctx context.Context, _ string) error {
			other, _ = attempt(ctx, uploading)
			return nil
		}
		result, _ := attempt(ctx, slow)
		Expect(result.SnapshotID).To(Equal(other.SnapshotID))
		Expect(kept(ctx)).To(HaveLen(1))
	})

	It("make a snapshot anew if that of an earlier one cannot be read", func(ctx context.Context) {
		first, _ := attempt(ctx, uploading)
		write(ctx, likeVelero(ctx, store), func(ctx context.Context, writer repo.RepositoryWriter) error {
			found, err := snapshot.ListSnapshots(ctx, writer, source)
			Expect(err).NotTo(HaveOccurred())
			Expect(found).To(HaveLen(1))
			missing, err := object.ParseID("k0123456789abcdef0123456789abcdef")
			Expect(err).NotTo(HaveOccurred())
			found[0].RootEntry.ObjectID = missing
			return snapshot.UpdateSnapshot(ctx, writer, found[0])
		})
		access := store.access(namespace)
		logs := recordLog(&access)
		repo := open(ctx, access)
		second, err := upload.Run(ctx, repo, uploading)
		Expect(err).NotTo(HaveOccurred())
		Expect(second.SnapshotID).NotTo(Equal(first.SnapshotID))
		Expect(logs.warnings()).To(ContainElement("the snapshot of an earlier attempt cannot be read back"))
		Expect(kept(ctx)).To(HaveExactElements(HaveField("ID", BeEquivalentTo(second.SnapshotID))))
		expectSame(restored(ctx, repo, second.SnapshotID), describe(volume))
	})

	It("tell the ID of the snapshot before it is saved", func(ctx context.Context) {
		announced := ""
		uploading.Confirm = func(ctx context.Context, snapshotID string) error {
			announced = snapshotID
			Expect(kept(ctx)).To(BeEmpty())
			return nil
		}
		result, _ := attempt(ctx, uploading)
		Expect(result.SnapshotID).To(Equal(announced))
		Expect(kept(ctx)).To(HaveExactElements(HaveField("ID", BeEquivalentTo(announced))))
	})

	It("keep what was uploaded when nobody can be asked whether it is wanted", func(ctx context.Context) {
		unknown := errors.New("the API server does not answer")
		unconfirmed := uploading
		unconfirmed.Confirm = func(context.Context, string) error { return unknown }
		repo := open(ctx, store.access(namespace))
		_, err := upload.Run(ctx, repo, unconfirmed)
		Expect(err).To(MatchError(unknown))
		Expect(repo.Snapshots(ctx, namespace, pvc)).To(BeEmpty())
		Expect(kept(ctx)).To(HaveLen(1))

		result, read := attempt(ctx, uploading)
		Expect(read).To(BeZero())
		Expect(result.TotalBytes).To(BeEquivalentTo(total))
		Expect(result.IncrementalBytes).To(BeEquivalentTo(total), "that of all attempts")
		Expect(kept(ctx)).To(HaveLen(1))
	})

	It("leave one snapshot and no checkpoint", func(ctx context.Context) {
		uploading.CheckpointInterval = time.Millisecond
		uploading.ParallelFiles = 1
		initialize(ctx, store.access(namespace))
		for range 3 {
			before := len(kept(ctx))
			uploading.DataUploadUID = request(volume).DataUploadUID
			put(volume, "0/file", randomBytes(uint64(GinkgoRandomSeed()), 9<<20+before), 0o644)
			result, err := upload.Run(ctx, open(ctx, store.access(namespace)), uploading)
			Expect(err).NotTo(HaveOccurred())
			Expect(kept(ctx)).To(And(HaveLen(before+1), HaveEach(HaveField("IncompleteReason", BeEmpty())),
				ContainElement(HaveField("ID", BeEquivalentTo(result.SnapshotID)))))
		}
	})

	It("leave nothing when they are discarded, and other DataUploads alone", func(ctx context.Context) {
		other, _ := attempt(ctx, request(volume))
		keep := func(request upload.Request) {
			GinkgoHelper()
			request.Confirm = func(context.Context, string) error { return errors.New("unknown") }
			_, err := upload.Run(ctx, open(ctx, store.access(namespace)), request)
			Expect(err).To(MatchError(ContainSubstring("unknown")))
		}
		unfinished := request(volume)
		keep(unfinished)
		keep(uploading)
		keep(uploading)
		Expect(kept(ctx)).To(HaveLen(4))

		repo := open(ctx, store.access(namespace))
		Expect(upload.Discard(ctx, repo, namespace, pvc, uploading.DataUploadUID)).To(Succeed())
		Expect(kept(ctx)).To(ConsistOf(
			HaveField("ID", BeEquivalentTo(other.SnapshotID)),
			HaveField("Tags", HaveKeyWithValue("node-agent.io/data-upload-uid", unfinished.DataUploadUID))))

		By("also a snapshot whose result got lost")
		_, _ = attempt(ctx, uploading)
		Expect(upload.Discard(ctx, repo, namespace, pvc, uploading.DataUploadUID)).To(Succeed())
		Expect(repo.Snapshots(ctx, namespace, pvc)).To(HaveExactElements(HaveField("ID", other.SnapshotID)))

		By("doing nothing where there is nothing")
		before := store.blobs(namespace)
		Expect(upload.Discard(ctx, repo, namespace, pvc, uploading.DataUploadUID)).To(Succeed())
		Expect(store.blobs(namespace)).To(ConsistOf(before))
	})

	It("do not disturb another DataUpload of the same volume", func(ctx context.Context) {
		var other upload.Result
		slow := uploading
		slow.CheckpointInterval = time.Millisecond
		slow.ParallelFiles = 1
		slow.Confirm = func(ctx context.Context, _ string) error {
			other, _ = attempt(ctx, request(volume))
			return nil
		}
		repo := open(ctx, store.access(namespace))
		result, err := upload.Run(ctx, repo, slow)
		Expect(err).NotTo(HaveOccurred())
		Expect(kept(ctx)).To(ConsistOf(
			HaveField("ID", BeEquivalentTo(other.SnapshotID)), HaveField("ID", BeEquivalentTo(result.SnapshotID))))
		for _, id := range []string{other.SnapshotID, result.SnapshotID} {
			expectSame(restored(ctx, repo, id), describe(volume))
		}
	})

	DescribeTable("that end early", func(ctx context.Context, cause error, want bool) {
		store := newS3Store()
		repo := open(ctx, store.access(namespace))
		ending, end := context.WithCancelCause(ctx)
		packs := 0
		store.intercept(func(_ http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/kopia/"+namespace+"/p") {
				if packs++; packs == 1 {
					end(cause)
				}
			}
			return false
		})
		uploading.ParallelFiles = 1
		_, err := upload.Run(ending, repo, uploading)
		Expect(err).To(MatchError(failure.ErrCanceled))
		Expect(repo.Snapshots(ctx, namespace, pvc)).To(BeEmpty())

		access := store.access(namespace)
		logs := recordLog(&access)
		result, err := upload.Run(ctx, open(ctx, access), uploading)
		Expect(err).NotTo(HaveOccurred())
		Expect(result.TotalBytes).To(BeEquivalentTo(total))
		if want {
			Expect(logs.readBytes()).To(BeNumerically("<=", total-2*fileSize), "two files at least fill a pack")
		} else {
			Expect(logs.readBytes()).To(BeEquivalentTo(total))
		}
	},
		Entry("go on from where they were interrupted", failure.ErrInterrupted, true),
		Entry("start over when they were canceled", errors.New("canceled"), false),
	)

	It("need the UID of their DataUpload", func(ctx context.Context) {
		uploading.DataUploadUID = ""
		_, err := upload.Run(ctx, open(ctx, store.access(namespace)), uploading)
		Expect(err).To(MatchError(ContainSubstring("needs the UID of its DataUpload")))
	})
})
