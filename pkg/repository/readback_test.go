package repository_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"github.com/node-agent/node-agent/pkg/notice"
	"github.com/node-agent/node-agent/pkg/repository"
	"github.com/node-agent/node-agent/pkg/repository/failure"
	"github.com/node-agent/node-agent/pkg/repository/upload"
)

var _ = Describe("Upload, once all is saved", func() {
	// uploadTo uploads to a store that answers requests for packs as it is told, and returns how many there were.
	uploadTo := func(ctx context.Context, percent int, answer func(http.ResponseWriter, *http.Request) bool) (int, error) {
		GinkgoHelper()
		store := newS3Store()
		repo := open(ctx, store.access(namespace))
		volume := GinkgoT().TempDir()
		for _, name := range []string{"a", "b", "c", "d"} {
			put(volume, name, randomBytes(uint64(name[0]), 15<<20), 0o644)
		}
		var reads atomic.Int32
		store.intercept(func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodGet || !strings.HasPrefix(r.URL.Path, "/"+bucket+"/"+store.key(namespace, "p")) {
				return false
			}
			reads.Add(1)
			return answer(w, r)
		})
		uploading := request(volume)
		uploading.VerifyPercent = percent
		_, err := upload.Run(ctx, repo, uploading)
		if err != nil {
			Expect(repo.Snapshots(ctx, namespace, pvc)).To(BeEmpty())
			Expect(failure.Retryable(err)).To(BeFalse(), "an attempt that takes the rest for granted must not succeed")
		}
		return int(reads.Load()), err
	}
	gone := func(w http.ResponseWriter, _ *http.Request) bool {
		return answerS3(w, http.StatusNotFound, "NoSuchKey", "The specified key does not exist.")
	}

	It("reads a sample of its packs back from the store", func(ctx context.Context) {
		reads, err := uploadTo(ctx, 1, func(http.ResponseWriter, *http.Request) bool { return false })
		Expect(err).NotTo(HaveOccurred())
		Expect(reads).To(And(BeNumerically(">=", 1), BeNumerically("<=", 3)))
		reads, err = uploadTo(ctx, 100, func(http.ResponseWriter, *http.Request) bool { return false })
		Expect(err).NotTo(HaveOccurred())
		Expect(reads).To(BeNumerically(">=", 3))
	})

	It("fails if the store has lost a pack", func(ctx context.Context) {
		_, err := uploadTo(ctx, 1, gone)
		Expect(err).To(MatchError(And(ContainSubstring("verify snapshot"), ContainSubstring("the store has lost pack p"))))
	})

	It("fails if the store returns other bytes", func(ctx context.Context) {
		_, err := uploadTo(ctx, 1, func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
			_, err := w.Write(make([]byte, 1000))
			return err == nil
		})
		Expect(err).To(MatchError(MatchRegexp("the store returns pack p.* otherwise than it was written")))
	})

	It("reads nothing back if it is not to", func(ctx context.Context) {
		reads, err := uploadTo(ctx, 0, gone)
		Expect(err).NotTo(HaveOccurred())
		Expect(reads).To(BeZero())
	})
})

var _ = Describe("Upload of a file that changes without a trace", func() {
	var (
		volume string
		repo   *repository.Repository
	)

	BeforeEach(func(ctx context.Context) {
		volume = GinkgoT().TempDir()
		repo = open(ctx, newStore("a directory").access(namespace))
		put(volume, "database", []byte("before"), 0o644)
		_, err := upload.Run(ctx, repo, request(volume))
		Expect(err).NotTo(HaveOccurred())
		put(volume, "database", []byte("after!"), 0o644) // put gives it the same time
	})

	content := func(ctx context.Context, change func(*upload.Request)) string {
		GinkgoHelper()
		uploading := request(volume)
		change(&uploading)
		result, err := upload.Run(ctx, repo, uploading)
		Expect(err).NotTo(HaveOccurred())
		target := GinkgoT().TempDir()
		Expect(restoreInto(ctx, repo, result.SnapshotID, target)).To(Succeed())
		found, err := os.ReadFile(filepath.Join(target, "database"))
		Expect(err).NotTo(HaveOccurred())
		return string(found)
	}
	every := func(interval time.Duration) func(*upload.Request) {
		return func(r *upload.Request) { r.FullReadEvery = interval }
	}

	It("does not read it again, as long as no full read is due", func(ctx context.Context) {
		Expect(content(ctx, every(0))).To(Equal("before"))
		Expect(content(ctx, every(time.Hour))).To(Equal("before"))
	})

	It("reads it again once a full read is due, and that counts as one", func(ctx context.Context) {
		Expect(content(ctx, every(time.Nanosecond))).To(Equal("after!"))
		put(volume, "database", []byte("later!"), 0o644)
		Expect(content(ctx, every(time.Hour))).To(Equal("after!"))
	})

	It("does not take a snapshot with a parent for a full read", func(ctx context.Context) {
		Expect(content(ctx, every(0))).To(Equal("before"))
		Expect(content(ctx, every(time.Nanosecond))).To(Equal("after!"))
	})
})

var _ = It("Upload says what of the volume is not as one would expect, also if another attempt has completed it", func(ctx context.Context) {
	volume := GinkgoT().TempDir()
	put(volume, "future", nil, 0o644)
	far := unix.Timespec{Sec: time.Date(2400, 1, 1, 0, 0, 0, 0, time.UTC).Unix()}
	Expect(unix.UtimesNanoAt(unix.AT_FDCWD, filepath.Join(volume, "future"), []unix.Timespec{far, far}, 0)).To(Succeed())
	repo := open(ctx, newStore("a directory").access(namespace))
	uploading := request(volume)
	result, err := upload.Run(ctx, repo, uploading)
	Expect(err).NotTo(HaveOccurred())
	Expect(result.Notices).To(ConsistOf(notice.Notice{Code: notice.TimesNotKept, Count: 1, Example: "future"}))
	again, err := upload.Run(ctx, repo, uploading)
	Expect(err).NotTo(HaveOccurred())
	Expect(again).To(Equal(result))
})
