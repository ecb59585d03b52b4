package upload

import (
	"errors"
	"os"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/node-agent/node-agent/pkg/repository/failure"
)

var _ = Describe("The error of entries that cannot be read", func() {
	It("names the first ten entries", func() {
		var counted counter
		for range 12 {
			counted.Error("dir/file", &os.PathError{Op: "open", Path: "/uid/dir/file", Err: os.ErrPermission}, false)
		}
		counted.Error("dir/socket", errors.New("unknown"), true)
		entries, ok := errors.AsType[*failure.EntryError](counted.entryError())
		Expect(ok).To(BeTrue())
		Expect(entries.Total).To(Equal(12))
		Expect(entries.Failures).To(HaveLen(10))
		Expect(entries.Error()).To(HavePrefix("at least 12 entries of the volume could not be read: dir/file: permission denied; dir/file: "))
		Expect(entries.Error()).To(HaveSuffix("; and 2 more"))
	})

	It("has none that it may not know, once a search has found those that the upload has met", func() {
		counted := counter{searched: true}
		counted.Error("dir/caf\uefe9", os.ErrPermission, false)
		counted.Error("content", os.ErrPermission, false)
		counted.found("dir/caf\xe9", os.ErrPermission)
		counted.found("other", os.ErrPermission)
		Expect(counted.entryError()).To(MatchError(HavePrefix("at least 3 entries of the volume could not be read: ")))
		counted.found("content", os.ErrPermission)
		Expect(counted.entryError()).To(MatchError(
			`3 entries of the volume could not be read: "dir/caf\xe9": permission denied; content: permission denied; other: permission denied`))
	})
})
