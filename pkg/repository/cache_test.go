package repository_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"

	"github.com/kopia/kopia/repo"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/types"
	"golang.org/x/sys/unix"

	"github.com/node-agent/node-agent/pkg/repository"
)

var _ = Describe("The caches of a repository", func() {
	// free is what a volume has room for.
	free := func(dir string) int64 {
		var stat unix.Statfs_t
		Expect(unix.Statfs(dir, &stat)).To(Succeed())
		return int64(stat.Bavail) * stat.Bsize
	}

	const mebibyte = float64(1 << 20)

	DescribeTable("are limited, a fifth of it for metadata", func(
		ctx context.Context, change func(*repository.Access), limit types.GomegaMatcher,
	) {
		access := newStore("a directory").access(namespace)
		change(&access)
		open(ctx, access)

		content, err := os.ReadFile(filepath.Join(access.StateDir, "kopia.config"))
		Expect(err).NotTo(HaveOccurred())
		var config repo.LocalConfig
		Expect(json.Unmarshal(content, &config)).To(Succeed())
		caching := config.Caching
		data, metadata := caching.ContentCacheSizeLimitBytes, caching.MetadataCacheSizeLimitBytes
		Expect(float64(data+metadata)/mebibyte).To(limit, "limit in MiB")
		Expect(metadata).To(BeNumerically("~", data/4, 1))
		Expect(caching.ContentCacheSizeBytes).To(BeNumerically("~", data/5*4, 100))
		Expect(caching.MetadataCacheSizeBytes).To(BeNumerically("~", metadata/5*4, 100))
	},
		Entry("to Velero's default", func(*repository.Access) {}, BeEquivalentTo(5000)),
		Entry("to what is set", func(a *repository.Access) { a.CacheLimit = 64 }, BeEquivalentTo(64)),
		Entry("to what is set, on a volume of their own",
			func(a *repository.Access) { a.CacheLimit, a.CacheDir, a.Restore = 64, GinkgoT().TempDir(), true }, BeEquivalentTo(64)),
		Entry("to what a volume of their own has room for",
			func(a *repository.Access) { a.CacheLimit, a.CacheDir = 1<<42, GinkgoT().TempDir() },
			WithTransform(func(limit float64) float64 { return limit * mebibyte / float64(free(os.TempDir())) }, BeNumerically("~", 0.8, 0.1))),
	)

	It("keep to a limit that is far smaller than the volume", func(ctx context.Context) {
		access := newStore("a directory").access(namespace)
		access.CacheLimit = 1
		repo := open(ctx, access)
		volume := makeVolume()
		id := uploaded(ctx, repo, volume)
		target := GinkgoT().TempDir()
		Expect(restoreInto(ctx, repo, id, target)).To(Succeed())
		expectSame(describe(target), describe(volume))
	})
})
