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
		Expect(entries.Error()).To(HavePrefix("12 entries of the volume could not be read: dir/file: permission denied; dir/file: "))
		Expect(entries.Error()).To(HaveSuffix("; and 2 more"))
	})
})
