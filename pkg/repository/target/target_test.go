package target_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"github.com/node-agent/node-agent/pkg/repository/target"
)

const block = 4096

// pattern is data without a zero.
func pattern(length int) []byte { return bytes.Repeat([]byte{'x'}, length) }

var _ = Describe("Places", func() {
	dir := &target.Folder{Parent: &target.Folder{}, Name: "dir"}

	It("are named by their paths", func() {
		Expect((&target.Folder{}).String()).To(Equal("."))
		Expect(dir.String()).To(Equal("dir"))
		Expect(target.Place{Dir: dir, Name: "file"}.String()).To(Equal("dir/file"))
	})

	It("are shortened in the middle, between letters", func() {
		long := target.Place{Dir: dir, Name: strings.Repeat("ü", 200)}.String()
		Expect(len(long)).To(And(BeNumerically(">", 290), BeNumerically("<=", 303)))
		Expect(long).To(And(HavePrefix("dir/ü"), ContainSubstring("ü...ü"), HaveSuffix("ü")))
	})
})

var _ = Describe("A volume", func() {
	var (
		root   string
		volume *target.Volume
		top    *target.Folder
	)
	BeforeEach(func() {
		root, top = GinkgoT().TempDir(), &target.Folder{}
		var err error
		volume, err = target.OpenVolume(root)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(volume.Close)
	})
	at := func(name string) target.Place { return target.Place{Dir: top, Name: name} }

	It("keeps a file of the wanted size, and replaces others and links, but no directory", func() {
		Expect(os.WriteFile(filepath.Join(root, "file"), pattern(3), 0o600)).To(Succeed())
		Expect(os.Symlink("file", filepath.Join(root, "link"))).To(Succeed())
		Expect(os.Mkdir(filepath.Join(root, "dir"), 0o700)).To(Succeed())
		for _, row := range []struct {
			name string
			size int64
			kept bool
		}{{"file", 3, true}, {"file", 4, false}, {"link", 4, false}} {
			file, kept, err := volume.CreateFile(at(row.name), row.size)
			Expect(err).NotTo(HaveOccurred(), row.name)
			Expect(file.Close()).To(Succeed())
			Expect(kept).To(Equal(row.kept), row.name)
		}
		_, _, err := volume.CreateFile(at("dir"), 0)
		Expect(err).To(MatchError("a directory is in its place"))
		Expect(volume.MakeLink(at("dir"), "file")).To(MatchError("a directory is in its place"))
	})

	It("is not left by a link", func() {
		Expect(os.Symlink(GinkgoT().TempDir(), filepath.Join(root, "out"))).To(Succeed())
		_, _, err := volume.CreateFile(target.Place{Dir: &target.Folder{Parent: top, Name: "out"}, Name: "file"}, 0)
		Expect(err).To(HaveOccurred())
		_, err = volume.OpenFile(at("out"))
		Expect(err).To(HaveOccurred())
	})

	It("gives an entry its attributes, and says what it lacks before", func() {
		dir := &target.Folder{Parent: top, Name: "dir"}
		Expect(volume.MakeDirectory(dir)).To(Succeed())
		want := target.Attributes{
			Mode: 0o750 | fs.ModeSticky, UID: uint32(os.Geteuid()), GID: uint32(os.Getegid()), Modified: time.Unix(1e9, 0),
		}
		found, _, err := volume.Stat(dir.Here())
		Expect(err).NotTo(HaveOccurred())
		Expect(want.MissingIn(found)).To(HaveExactElements(
			HaveField("Has", "its mode is -rwx------ instead of trwxr-x---"), HaveField("Has", HavePrefix("its time is "))))
		Expect(volume.Give(dir.Here(), want)).To(BeEmpty())
		found, _, err = volume.Stat(dir.Here())
		Expect(err).NotTo(HaveOccurred())
		want.Mode |= fs.ModeDir
		Expect(found).To(Equal(want))
	})

	DescribeTable("has holes where there are whole blocks of zeros", func(offset int64, stale bool, blocks int64) {
		file, _, err := volume.CreateFile(at("file"), 0)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(file.Close)
		if stale {
			_, err := file.WriteAt(pattern(8*block), 0)
			Expect(err).NotTo(HaveOccurred())
		}
		data := append(append(pattern(block), make([]byte, 3*block)...), pattern(block)...)
		Expect(file.WriteData(data, offset, stale)).To(Succeed())
		Expect(file.GrowTo(8 * block)).To(Succeed())
		found := make([]byte, len(data))
		_, err = file.ReadAt(found, offset)
		Expect(err).NotTo(HaveOccurred())
		Expect(bytes.Equal(found, data)).To(BeTrue())
		Expect(file.Sync()).To(Succeed())
		Expect(allocated(file.File)).To(Equal(blocks * block))
	},
		Entry("in a new file", int64(0), false, int64(2)),
		Entry("beside the blocks of a new file", int64(100), false, int64(4)),
		Entry("in a file that had something there", int64(block), true, int64(5)),
	)
})

var _ = Describe("A device", func() {
	var device target.Device
	const size = 3<<20 + block
	BeforeEach(func() {
		path := filepath.Join(GinkgoT().TempDir(), "device")
		var err error
		device, err = target.OpenDevice(path, size)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(device.Close)
		Expect(device.WriteData(pattern(size), 0, false)).To(Succeed())
	})
	content := func() []byte {
		found := make([]byte, size)
		_, err := device.ReadAt(found, 0)
		Expect(err).NotTo(HaveOccurred())
		return found
	}

	It("has zeros behind what is written to it", func(ctx context.Context) {
		Expect(device.ClearFrom(ctx, 5000, func() error { return nil })).To(Succeed())
		Expect(bytes.Equal(content()[:5000], pattern(5000))).To(BeTrue())
		Expect(target.IsZero(content()[5000:])).To(BeTrue())
	})

	It("is not cleared any more once nothing may be written", func(ctx context.Context) {
		lost, asked := errors.New("lost"), 0
		Expect(device.ClearFrom(ctx, 5000, func() error {
			if asked++; asked > 1 {
				return lost
			}
			return nil
		})).To(MatchError(lost))
		Expect(bytes.Equal(content()[1<<20:], pattern(size-1<<20))).To(BeTrue())
	})
})

// allocated is what a file takes, in bytes.
func allocated(file *os.File) int64 {
	GinkgoHelper()
	var stat unix.Stat_t
	Expect(unix.Fstat(int(file.Fd()), &stat)).To(Succeed())
	return stat.Blocks * 512
}
