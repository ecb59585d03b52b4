package repository_test

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"sync/atomic"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/node-agent/node-agent/pkg/repository/restore"
	"github.com/node-agent/node-agent/pkg/repository/upload"
)

var errLeaseOver = errors.New("another one may write now")

var _ = Describe("A restore that may no longer write", func() {
	// attempt restores a directory, a file and a link, as long as it is allowed to change something. It returns how often it has asked.
	attempt := func(ctx context.Context, allowed int64) (target string, asked int64, err error) {
		volume := GinkgoT().TempDir()
		Expect(os.Mkdir(filepath.Join(volume, "dir"), 0o750)).To(Succeed())
		put(volume, "dir/file", []byte("content"), 0o640)
		Expect(os.Symlink("file", filepath.Join(volume, "dir/link"))).To(Succeed())
		repo := open(ctx, newStore("a directory").access(namespace))
		id := uploaded(ctx, repo, volume)
		target = GinkgoT().TempDir()
		var asking atomic.Int64
		_, err = restore.Run(ctx, repo, restore.Request{SnapshotID: id, Path: target, ParallelFiles: 1, MayWrite: func() error {
			if asking.Add(1) > allowed {
				return errLeaseOver
			}
			return nil
		}})
		return target, asking.Load(), err
	}

	It("changes nothing", func(ctx context.Context) {
		target, _, err := attempt(ctx, 0)
		Expect(err).To(MatchError(errLeaseOver))
		Expect(os.ReadDir(target)).To(BeEmpty())
	})

	It("asks before each change: of two directories, a file and its content, a link, and of what each of the four has beside that", func(ctx context.Context) {
		_, changes, err := attempt(ctx, math.MaxInt64)
		Expect(err).NotTo(HaveOccurred())
		Expect(changes).To(BeNumerically(">=", 2+2+1+4))
		for allowed := range changes {
			_, _, err := attempt(ctx, allowed)
			Expect(err).To(MatchError(errLeaseOver), "after %d changes", allowed)
		}
	})

	It("does not touch a device", func(ctx context.Context) {
		repo := open(ctx, newStore("a directory").access(namespace))
		device := filepath.Join(GinkgoT().TempDir(), "device")
		Expect(os.WriteFile(device, []byte("data"), 0o600)).To(Succeed())
		uploading := request(device)
		uploading.Block = true
		result, err := upload.Run(ctx, repo, uploading)
		Expect(err).NotTo(HaveOccurred())
		target := filepath.Join(GinkgoT().TempDir(), "target")
		_, err = restore.Run(ctx, repo, restore.Request{
			SnapshotID: result.SnapshotID, Path: target, Block: true, MayWrite: func() error { return errLeaseOver },
		})
		Expect(err).To(MatchError(errLeaseOver))
		Expect(target).NotTo(BeAnExistingFile())
	})
})
