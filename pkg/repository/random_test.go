package repository_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/node-agent/node-agent/pkg/repository/upload"
)

// grow adds to a directory random entries, and sometimes takes one away.
func grow(random *rand.Rand, dir string, depth int) {
	GinkgoHelper()
	Expect(os.MkdirAll(dir, 0o755)).To(Succeed())
	for range random.IntN(6) {
		name := fmt.Sprintf("%c%d", 'a'+rune(random.IntN(4)), random.IntN(3))
		path := filepath.Join(dir, name)
		switch info, err := os.Lstat(path); {
		case err == nil && (random.IntN(3) == 0 || !info.IsDir()):
			Expect(os.RemoveAll(path)).To(Succeed())
		case random.IntN(3) == 0 && depth > 0:
			grow(random, path, depth-1)
		case err == nil:
		case random.IntN(5) == 0:
			link(dir, name, fmt.Sprint("../", random.IntN(10)))
		default:
			put(dir, name, randomBytes(random.Uint64(), random.IntN(200_000)), os.FileMode(0o400+random.IntN(0o400)))
		}
	}
	Expect(os.Chtimes(dir, anyTime, anyTime.Add(time.Duration(random.Int64N(1e15))))).To(Succeed())
}

var _ = Describe("Random volumes", func() {
	It("come back as they were, each time", func(ctx context.Context) {
		seed := uint64(GinkgoRandomSeed())
		random := rand.New(rand.NewPCG(seed, seed))
		repo := open(ctx, newStore("a directory").access(namespace))
		volume := filepath.Join(GinkgoT().TempDir(), "volume")
		snapshots := map[string]map[string]string{}
		for range 12 {
			grow(random, volume, 4)
			result, err := upload.Run(ctx, repo, request(volume))
			Expect(err).NotTo(HaveOccurred())
			Expect(result.IncrementalBytes).To(And(BeNumerically(">=", 0), BeNumerically("<=", result.TotalBytes)))
			snapshots[result.SnapshotID] = describe(volume)
		}
		for id, want := range snapshots {
			expectSame(restored(ctx, repo, id), want)
		}
	})
})
