package repository_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"github.com/node-agent/node-agent/pkg/repository/roottest"
)

// run runs a program that only root can.
func run(program string, arguments ...string) string {
	GinkgoHelper()
	output, err := exec.Command(program, arguments...).CombinedOutput()
	if err != nil {
		roottest.Unavailable(fmt.Sprintf("%s %s: %s", program, strings.Join(arguments, " "), output), err)
	}
	return strings.TrimSpace(string(output))
}

// loopDevice is a device of a file.
func loopDevice(file string) string {
	GinkgoHelper()
	device := run("losetup", "--find", "--show", file)
	DeferCleanup(func() { Expect(exec.Command("losetup", "--detach", device).Run()).To(Succeed()) })
	return device
}

// mounted mounts a file system until the spec ends.
func mounted(what, kind, options string) string {
	GinkgoHelper()
	dir := GinkgoT().TempDir()
	if err := unix.Mount(what, dir, kind, 0, options); err != nil {
		roottest.Unavailable("cannot mount a file system", err)
	}
	DeferCleanup(func() { Expect(unix.Unmount(dir, unix.MNT_DETACH)).To(Succeed()) })
	return dir
}

// mountMemory mounts a file system of a few MiB.
func mountMemory(options string) string {
	GinkgoHelper()
	return mounted("tmpfs", "tmpfs", options)
}

// mountOldExt4 mounts an ext4 whose inodes are as small as those of ext3: times are whole seconds from 1901 to 2038.
func mountOldExt4() string {
	GinkgoHelper()
	image := filepath.Join(GinkgoT().TempDir(), "image")
	Expect(os.WriteFile(image, nil, 0o600)).To(Succeed())
	Expect(os.Truncate(image, 32<<20)).To(Succeed())
	run("mkfs.ext4", "-q", "-I", "128", image)
	return mounted(loopDevice(image), "ext4", "")
}

// stubborn is a file system that does not do all that it is asked for, as those of servers and FAT.
type stubborn struct {
	// chown, chmod, utimes and symlink are the answers to such requests.
	chown, chmod, utimes, symlink syscall.Errno
	// ignores does nothing of chown, chmod and utimes, and says nothing.
	ignores bool
	// grain is what times are rounded down to.
	grain time.Duration
}

// mount mounts it upon a directory elsewhere, which it returns, too.
func (s *stubborn) mount() (dir, below string) {
	GinkgoHelper()
	dir, below = GinkgoT().TempDir(), GinkgoT().TempDir()
	loopback, err := fs.NewLoopbackRoot(below)
	Expect(err).NotTo(HaveOccurred())
	root := &stubbornNode{LoopbackNode: loopback.(*fs.LoopbackNode), stubborn: s}
	root.RootData.RootNode = root
	server, err := fs.Mount(dir, root, &fs.Options{MountOptions: fuse.MountOptions{DirectMountStrict: true}})
	if err != nil {
		roottest.Unavailable("cannot mount a file system of this process", err)
	}
	DeferCleanup(func() { Expect(server.Unmount()).To(Succeed()) })
	return dir, below
}

type stubbornNode struct {
	*fs.LoopbackNode
	*stubborn
}

func (n *stubbornNode) WrapChild(_ context.Context, child fs.InodeEmbedder) fs.InodeEmbedder {
	return &stubbornNode{LoopbackNode: child.(*fs.LoopbackNode), stubborn: n.stubborn}
}

func (n *stubbornNode) Setattr(ctx context.Context, f fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	for _, request := range []struct {
		valid  uint32
		answer syscall.Errno
	}{{fuse.FATTR_UID | fuse.FATTR_GID, n.chown}, {fuse.FATTR_MODE, n.chmod}, {fuse.FATTR_MTIME | fuse.FATTR_ATIME, n.utimes}} {
		if in.Valid&request.valid == 0 {
			continue
		}
		if request.answer != 0 {
			return request.answer
		}
		if n.ignores {
			in.Valid &^= request.valid
		}
	}
	if n.grain != 0 {
		at := time.Unix(int64(in.Mtime), int64(in.Mtimensec)).Truncate(n.grain)
		in.Mtime, in.Mtimensec = uint64(at.Unix()), uint32(at.Nanosecond())
	}
	return n.LoopbackNode.Setattr(ctx, f, in, out)
}

func (n *stubbornNode) Symlink(ctx context.Context, target, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	if n.symlink != 0 {
		return nil, n.symlink
	}
	return n.LoopbackNode.Symlink(ctx, target, name, out)
}
