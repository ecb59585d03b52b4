package text_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/node-agent/node-agent/pkg/text"
)

func TestText(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Text")
}

var _ = Describe("Shorten", func() {
	DescribeTable("cuts the middle out of what is too long", func(long string, limit int, want string) {
		Expect(text.Shorten(long, limit)).To(Equal(want))
	},
		Entry("nothing", "", 10, ""),
		Entry("just short enough", "0123456789", 10, "0123456789"),
		Entry("one byte too long", "0123456789a", 10, "012 ... 9a"),
		Entry("characters of several bytes", "äöüäöüäöü", 10, "ä ... ü"),
	)

	It("keeps to its limit and leaves no broken characters", func() {
		long := strings.Repeat("aä€😀", 50)
		for limit := 5; limit < len(long); limit++ {
			short := text.Shorten(long, limit)
			Expect(len(short)).To(BeNumerically("<=", limit))
			Expect(utf8.ValidString(short)).To(BeTrue())
		}
	})
})
