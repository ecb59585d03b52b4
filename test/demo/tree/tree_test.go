package tree_test

import (
	"os"
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/node-agent/node-agent/test/demo/tree"
)

// build makes a small directory with all kinds of entries, always the same.
func build() string {
	GinkgoHelper()
	root := GinkgoT().TempDir()
	must := func(err error) {
		GinkgoHelper()
		Expect(err).NotTo(HaveOccurred())
	}
	moment := time.Date(2020, 1, 2, 3, 4, 5, 678, time.UTC)
	must(os.Mkdir(filepath.Join(root, "dir"), 0o750))
	must(os.WriteFile(filepath.Join(root, "dir", "file"), []byte("content"), 0o600))
	must(os.Symlink("dir/file", filepath.Join(root, "link")))
	must(os.Chmod(root, 0o750))
	for _, name := range []string{"dir/file", "dir", "."} {
		must(os.Chtimes(filepath.Join(root, name), moment, moment))
	}
	return root
}

var _ = Describe("Compare", func() {
	// A link has a time of its own, that of its creation.
	linkTime := ContainSubstring("link: time is")

	It("finds equal what is equal, and counts it", func() {
		root := build()
		counts, differences, err := tree.Compare(root, root)
		Expect(err).NotTo(HaveOccurred())
		Expect(differences).To(BeEmpty())
		Expect(counts).To(Equal(tree.Counts{Files: 1, Directories: 2, Links: 1, Bytes: 7}))
	})

	DescribeTable("finds",
		func(change func(root string) error, expected string) {
			changed := build()
			Expect(change(changed)).To(Succeed())
			_, differences, err := tree.Compare(build(), changed)
			Expect(err).NotTo(HaveOccurred())
			Expect(differences).To(ContainElement(MatchRegexp(expected)))
			Expect(differences).To(HaveEach(Or(linkTime, MatchRegexp(expected), MatchRegexp(`^(\.|dir|dir/file): time is`))))
		},
		Entry("a changed byte", func(root string) error {
			return os.WriteFile(filepath.Join(root, "dir/file"), []byte("Content"), 0o600)
		}, "^dir/file: content is different, not the same$"),
		Entry("another size", func(root string) error {
			return os.WriteFile(filepath.Join(root, "dir/file"), []byte("contents"), 0o600)
		}, "^dir/file: size is 8, not 7$"),
		Entry("another mode", func(root string) error {
			return os.Chmod(filepath.Join(root, "dir/file"), 0o400)
		}, "^dir/file: mode is -r--------, not -rw-------$"),
		Entry("another mode of a directory", func(root string) error {
			return os.Chmod(filepath.Join(root, "dir"), 0o700)
		}, "^dir: mode is drwx------, not drwxr-x---$"),
		Entry("another time", func(root string) error {
			moment := time.Date(2020, 1, 2, 3, 4, 5, 679, time.UTC)
			return os.Chtimes(filepath.Join(root, "dir/file"), moment, moment)
		}, "^dir/file: time is 2020-01-02T03:04:05.000000679Z, not 2020-01-02T03:04:05.000000678Z$"),
		Entry("a missing and an unexpected entry", func(root string) error {
			return os.Rename(filepath.Join(root, "link"), filepath.Join(root, "other"))
		}, "^(link: missing|other: not expected)$"),
		Entry("another kind", func(root string) error {
			path := filepath.Join(root, "link")
			if err := os.Remove(path); err != nil {
				return err
			}
			return os.WriteFile(path, nil, 0o600)
		}, "^link: is -rw-------, not Lrwxrwxrwx$"),
	)

	It("finds another target of a link", func() {
		changed := build()
		Expect(os.Remove(filepath.Join(changed, "link"))).To(Succeed())
		Expect(os.Symlink("elsewhere", filepath.Join(changed, "link"))).To(Succeed())
		_, differences, err := tree.Compare(build(), changed)
		Expect(err).NotTo(HaveOccurred())
		Expect(differences).To(ContainElement("link: target is elsewhere, not dir/file"))
	})

	It("fails on a directory that is not there", func() {
		_, _, err := tree.Compare(build(), "/no/such/directory")
		Expect(err).To(MatchError(os.ErrNotExist))
	})
})
