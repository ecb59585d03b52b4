package restore

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("Names of entries in a snapshot", func() {
	DescribeTable("must be names", func(name, text string) {
		Expect(checkName(name)).To(MatchError(ContainSubstring(text)))
	},
		Entry("nothing", "", "is not the name of a file"),
		Entry("itself", ".", "is not the name of a file"),
		Entry("up", "..", "is not the name of a file"),
		Entry("a path", "a/../../b", "is not the name of a file"),
		Entry("a NUL", "a\x00b", "is not the name of a file"),
		Entry("a device", "/uid", "is a device"),
	)
})
