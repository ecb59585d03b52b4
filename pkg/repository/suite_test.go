package repository_test

import (
	"os"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	if os.Getenv(unprivilegedVolume) != "" {
		os.Exit(uploadUnprivileged())
	}
	if os.Getenv(withoutChown) != "" {
		os.Exit(restoreWithoutChown())
	}
	if os.Getenv(killedUpload) != "" {
		os.Exit(runUntilKilled(killedUpload, &doomedUpload{}))
	}
	if os.Getenv(killedRestore) != "" {
		os.Exit(runUntilKilled(killedRestore, &doomedRestore{}))
	}
	useMemory()
	// Each of Kopia's ten is one, and not three that are seconds apart.
	if err := os.Setenv("AWS_MAX_ATTEMPTS", "1"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// useMemory moves temporary files into memory if there is enough: a restore flushes its file system, which on a busy
// disk waits for the writes of everybody else.
func useMemory() {
	const memory, enough = "/dev/shm", 1 << 30
	var stat unix.Statfs_t
	if unix.Statfs(memory, &stat) == nil && stat.Bavail*uint64(stat.Bsize) >= enough && unix.Access(memory, unix.W_OK|unix.X_OK) == nil {
		_ = os.Setenv("TMPDIR", memory)
	}
}

// suiteDir is a directory for all specs.
var suiteDir string

func TestRepository(t *testing.T) {
	suiteDir = t.TempDir()
	RegisterFailHandler(Fail)
	RunSpecs(t, "repository")
}
