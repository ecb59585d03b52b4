package repository_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	iofs "io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/kopia/kopia/fs"
	"github.com/kopia/kopia/fs/virtualfs"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	. "github.com/onsi/gomega/gstruct"
	gomegatypes "github.com/onsi/gomega/types"
	"golang.org/x/sys/unix"

	"github.com/node-agent/node-agent/pkg/notice"
	"github.com/node-agent/node-agent/pkg/repository"
	"github.com/node-agent/node-agent/pkg/repository/failure"
	"github.com/node-agent/node-agent/pkg/repository/restore"
	"github.com/node-agent/node-agent/pkg/repository/roottest"
	"github.com/node-agent/node-agent/pkg/repository/store"
)

// said are notices by code, with how many entries they are about.
func said(notices []notice.Notice) map[notice.Code]int64 {
	result := map[notice.Code]int64{}
	for _, n := range notices {
		result[n.Code] = n.Count
	}
	return result
}

// noticed matches notices by code and count.
func noticed(want map[notice.Code]int64) gomegatypes.GomegaMatcher {
	return WithTransform(said, Equal(want))
}

// contents are the regular files of a directory, by path.
func contents(dir string) map[string]string {
	GinkgoHelper()
	result := map[string]string{}
	Expect(iofs.WalkDir(os.DirFS(dir), ".", func(path string, entry iofs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(filepath.Join(dir, path))
		result[path] = string(content)
		return err
	})).To(Succeed())
	return result
}

// makeOwned makes a volume of five entries whose owner is not root.
func makeOwned() string {
	GinkgoHelper()
	volume := GinkgoT().TempDir()
	put(volume, "dir/file", []byte("content"), 0o640)
	put(volume, "setuid", []byte("content"), 0o755|os.ModeSetuid)
	link(volume, "link", "setuid")
	for _, name := range []string{"dir/file", "dir", "setuid", "link", "."} {
		path := filepath.Join(volume, name)
		setuid := name == "setuid"
		Expect(os.Lchown(path, 1001, 1002)).To(Succeed())
		if setuid {
			Expect(os.Chmod(path, 0o755|os.ModeSetuid)).To(Succeed())
		}
		if name != "link" {
			Expect(os.Chtimes(path, anyTime, anyTime)).To(Succeed())
		}
	}
	return volume
}

var _ = Describe("A volume that cannot hold all that a snapshot has", func() {
	type restoring = restore.Request

	var repo *repository.Repository
	BeforeEach(func(ctx context.Context) {
		roottest.Require()
		repo = open(ctx, newStore("a directory").access(namespace))
	})

	DescribeTable("gets its data, and what it refuses is counted",
		func(ctx context.Context, target stubborn, want map[notice.Code]int64, strict string) {
			volume := makeOwned()
			dir, below := target.mount()
			request := restoring{SnapshotID: uploaded(ctx, repo, volume), Path: dir}
			result, err := restore.Run(ctx, repo, request)
			Expect(err).NotTo(HaveOccurred())
			Expect(result.Notices).To(noticed(want))
			Expect(contents(dir)).To(Equal(contents(volume)))
			Expect(restore.Verify(ctx, repo, request)).To(Succeed())

			By("giving nobody else's rights away")
			info, err := os.Stat(filepath.Join(below, "setuid"))
			Expect(err).NotTo(HaveOccurred())
			if _, lost := want[notice.OwnersNotRestored]; lost {
				Expect(info.Mode() & os.ModeSetuid).To(BeZero())
			}

			By("taking it for an error only if asked to")
			request.Strict = true
			_, err = restore.Run(ctx, repo, request)
			if strict == "" {
				Expect(err).NotTo(HaveOccurred())
				Expect(restore.Verify(ctx, repo, request)).To(Succeed())
				return
			}
			Expect(err).To(MatchError(ContainSubstring(strict)))
			Expect(failure.Retryable(err)).To(BeFalse())
			Expect(restore.Verify(ctx, repo, request)).To(MatchError(ContainSubstring("not as in the snapshot")))
		},
		Entry("owners, as NFS with root_squash", stubborn{chown: syscall.EPERM},
			map[notice.Code]int64{notice.OwnersNotRestored: 5, notice.ModesNotRestored: 1}, "set the owner of "),
		Entry("owners, as a server that does not know them", stubborn{chown: syscall.EINVAL},
			map[notice.Code]int64{notice.OwnersNotRestored: 5, notice.ModesNotRestored: 1}, "instead of 1001:1002: invalid argument"),
		Entry("modes, as SMB", stubborn{chmod: syscall.EOPNOTSUPP},
			map[notice.Code]int64{notice.ModesNotRestored: 3}, "set the mode of "),
		Entry("times", stubborn{utimes: syscall.EACCES}, map[notice.Code]int64{notice.TimesNotRestored: 5}, "set the time of "),
		Entry("symbolic links, as FAT", stubborn{symlink: syscall.EPERM}, map[notice.Code]int64{notice.LinksNotRestored: 1}, "create link link: "),
		Entry("all of it, without a word", stubborn{ignores: true}, map[notice.Code]int64{
			notice.OwnersNotRestored: 5, notice.ModesNotRestored: 3, notice.TimesNotRestored: 5,
		}, "set the owner of "),
		Entry("times finer than 2 seconds, as FAT", stubborn{grain: 2 * time.Second}, map[notice.Code]int64{notice.TimesCoarser: 5}, ""),
		Entry("times finer than 100 nanoseconds, as SMB", stubborn{grain: 100}, map[notice.Code]int64{notice.TimesCoarser: 5}, ""),
	)

	It("is verified as exactly as it can be", func(ctx context.Context) {
		dir, _ := (&stubborn{chown: syscall.EPERM, grain: time.Second}).mount()
		request := restoring{SnapshotID: uploaded(ctx, repo, makeOwned()), Path: dir}
		_, err := restore.Run(ctx, repo, request)
		Expect(err).NotTo(HaveOccurred())
		Expect(os.Chtimes(filepath.Join(dir, "dir/file"), anyTime, anyTime.Add(time.Second))).To(Succeed())
		Expect(os.Chmod(filepath.Join(dir, "setuid"), 0o700)).To(Succeed())
		Expect(restore.Verify(ctx, repo, request)).To(MatchError(And(ContainSubstring(": 2 entries of the volume"),
			ContainSubstring("dir/file: its time is 2021-03-04 05:06:08"), ContainSubstring("setuid: its mode is -rwx------"))))
	})

	It("keeps whole seconds from 1901 to 2038: an ext4 with inodes of 128 bytes", func(ctx context.Context) {
		volume := GinkgoT().TempDir()
		for name, year := range map[string]int{"now": 2026, "early": 1850, "late": 2100, "wrapped": 1715} {
			put(volume, name, []byte(name), 0o640)
			at := time.Date(year, 1, 2, 3, 4, 5, 678, time.UTC)
			Expect(os.Chtimes(filepath.Join(volume, name), at, at)).To(Succeed())
		}
		Expect(os.Chtimes(volume, anyTime, anyTime)).To(Succeed())
		dir := mountOldExt4()
		request := restoring{SnapshotID: uploaded(ctx, repo, volume), Path: dir}
		for _, request.Strict = range []bool{false, true} {
			result, err := restore.Run(ctx, repo, request)
			Expect(err).NotTo(HaveOccurred())
			Expect(result.Notices).To(noticed(map[notice.Code]int64{notice.TimesCoarser: 2, notice.TimesNotRestored: 3}))
			Expect(contents(dir)).To(Equal(contents(volume)))
			Expect(restore.Verify(ctx, repo, request)).To(Succeed())
		}
		info, err := os.Stat(filepath.Join(dir, "late"))
		Expect(err).NotTo(HaveOccurred())
		Expect(info.ModTime().UTC().Year()).To(Equal(2038))
	})

	It("is restored by a process that may not change owners", func(ctx context.Context) {
		store := &directoryStore{dir: GinkgoT().TempDir()}
		volume := makeOwned()
		id := uploaded(ctx, open(ctx, store.access(namespace)), volume)
		target := GinkgoT().TempDir()
		outcome := runWithoutChown(ctx, chownless{Store: store.dir, StateDir: store.access(namespace).StateDir, SnapshotID: id, Target: target})
		Expect(outcome).To(MatchFields(IgnoreExtras, Fields{"Error": BeEmpty(),
			"Notices": noticed(map[notice.Code]int64{notice.OwnersNotRestored: 5, notice.ModesNotRestored: 1})}))
		Expect(contents(target)).To(Equal(contents(volume)))
	})

	DescribeTable("is said to be too small before it is full", func(ctx context.Context, options, text string) {
		volume := GinkgoT().TempDir()
		put(volume, "dir/file", randomBytes(1, 6<<20), 0o644)
		put(volume, "dir/other", nil, 0o644)
		access := newStore("a directory").access(namespace)
		logs := recordLog(&access)
		repo := open(ctx, access)
		id := uploaded(ctx, repo, volume)
		err := restoreInto(ctx, repo, id, mountMemory(options))
		Expect(err).To(MatchError(And(ContainSubstring("the volume is full"), HaveSuffix(text))))
		Expect(logs.warnings()).To(ContainElement(text))
	},
		Entry("for the bytes", "size=2m", "the data has 6291456 bytes, and the volume room for 2097152"),
		Entry("for the entries", "nr_inodes=3", "the data has 4 entries, and the volume inodes for 2"),
	)

	It("holds a file that is larger than it, since holes take no room", func(ctx context.Context) {
		volume := GinkgoT().TempDir()
		put(volume, "disk", randomBytes(1, 1<<20), 0o644)
		Expect(os.Truncate(filepath.Join(volume, "disk"), 48<<20)).To(Succeed())
		dir := mountMemory("size=8m")
		result, err := restore.Run(ctx, repo, restoring{SnapshotID: uploaded(ctx, repo, volume), Path: dir})
		Expect(err).NotTo(HaveOccurred())
		Expect(result.Notices).To(noticed(map[notice.Code]int64{notice.VolumeTooSmall: 48 << 20}))
		Expect(contents(dir)).To(Equal(contents(volume)))
	})
})

// chownless is what a process restores that may not change owners, and where to.
type chownless struct{ Store, StateDir, SnapshotID, Target string }

// chownlessOutcome is what that process prints.
type chownlessOutcome struct {
	Error   string
	Notices []notice.Notice
}

// withoutChown is the environment variable with the chownless of such a process.
const withoutChown = "NODE_AGENT_TEST_WITHOUT_CHOWN"

// restoreWithoutChown is that process.
func restoreWithoutChown() int {
	var task chownless
	outcome, err := chownlessOutcome{}, json.Unmarshal([]byte(os.Getenv(withoutChown)), &task)
	if err == nil {
		outcome.Notices, err = task.run(context.Background())
	}
	if err != nil {
		outcome.Error = err.Error()
	}
	if json.NewEncoder(os.Stdout).Encode(outcome) != nil {
		return 1
	}
	return 0
}

func (c *chownless) run(ctx context.Context) ([]notice.Notice, error) {
	repo, err := repository.Open(ctx, repository.Access{
		Access: store.Access{
			Location: newLocation("velero.io/fs", map[string]string{"fspath": c.Store}), VolumeNamespace: namespace,
		},
		Password: password, StateDir: c.StateDir,
	})
	if err != nil {
		return nil, err
	}
	request := restore.Request{SnapshotID: c.SnapshotID, Path: c.Target}
	result, err := restore.Run(ctx, repo, request)
	if err == nil {
		err = restore.Verify(ctx, repo, request)
	}
	return result.Notices, err
}

// runWithoutChown restores in a process without the capability CAP_CHOWN.
func runWithoutChown(ctx context.Context, what chownless) (outcome chownlessOutcome) {
	GinkgoHelper()
	task, err := json.Marshal(what)
	Expect(err).NotTo(HaveOccurred())
	command := exec.CommandContext(ctx, os.Args[0])
	command.Env = append(os.Environ(), withoutChown+"="+string(task))
	command.Stderr = GinkgoWriter
	output := make(chan []byte)
	go func() {
		defer close(output)
		// A process gets what the thread has that starts it. The thread ends with this function, since it stays locked.
		runtime.LockOSThread()
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, unix.CAP_CHOWN, 0, 0, 0); err != nil {
			GinkgoWriter.Println("drop the capability:", err)
			return
		}
		printed, err := command.Output()
		GinkgoWriter.Println("it ended:", err)
		output <- printed
	}()
	Expect(json.Unmarshal(<-output, &outcome)).To(Succeed())
	return outcome
}

var _ = Describe("Paths that are longer than the system takes", func() {
	const depth, name = 100, "a-directory-with-a-name-that-is-neither-short-nor-long-and-that-makes-paths-grow"

	It("are restored and verified, and named in short", func(ctx context.Context) {
		store := &directoryStore{dir: GinkgoT().TempDir()}
		initialize(ctx, store.access(namespace))
		entries := []fs.Entry{virtualfs.StreamingFileFromReader("file", io.NopCloser(strings.NewReader("content")))}
		for range depth {
			entries = []fs.Entry{virtualfs.NewStaticDirectory(name, entries)}
		}
		id := uploadLikeVelero(ctx, likeVelero(ctx, store), virtualfs.NewStaticDirectory("root", entries))
		repo := open(ctx, store.access(namespace))
		target := GinkgoT().TempDir()
		request := restore.Request{SnapshotID: id, Path: target}
		_, err := restore.Run(ctx, repo, request)
		Expect(err).NotTo(HaveOccurred())
		Expect(restore.Verify(ctx, repo, request)).To(Succeed())

		By("looking for the file at the end of it")
		dir, err := unix.Open(target, unix.O_PATH|unix.O_DIRECTORY, 0)
		Expect(err).NotTo(HaveOccurred())
		for range depth {
			next, err := unix.Openat(dir, name, unix.O_PATH|unix.O_DIRECTORY, 0)
			Expect(err).NotTo(HaveOccurred())
			Expect(unix.Close(dir)).To(Succeed())
			dir = next
		}
		DeferCleanup(func() { Expect(unix.Close(dir)).To(Succeed()) })
		file := fmt.Sprintf("/proc/self/fd/%d/file", dir)
		Expect(os.ReadFile(file)).To(BeEquivalentTo("content"))

		By("finding there what is wrong")
		Expect(os.WriteFile(file, []byte("CONTENT"), 0o600)).To(Succeed())
		err = restore.Verify(ctx, repo, request)
		Expect(err).To(MatchError(And(ContainSubstring(": "+name+"/"), ContainSubstring("..."), ContainSubstring("/file: "))))
		Expect(len(err.Error())).To(BeNumerically("<", 1000))

		By("replacing it")
		Expect(os.Remove(file)).To(Succeed())
		Expect(os.Symlink("/etc/passwd", file)).To(Succeed())
		_, err = restore.Run(ctx, repo, request)
		Expect(err).NotTo(HaveOccurred())
		Expect(os.ReadFile(file)).To(BeEquivalentTo("content"))
	})
})
