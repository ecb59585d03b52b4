package failure_test

import (
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/node-agent/node-agent/pkg/repository/failure"
)

func TestFailure(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "repository/failure")
}

var _ = Describe("Texts of errors", func() {
	DescribeTable("hold no secret", func(text, expected string) {
		Expect(failure.Sanitize(text)).To(Equal(expected))
	},
		Entry(nil, `Get "https://a.b/c?sig=secret&x=1": refused`, `Get "https://a.b/c?...": refused`),
		Entry(nil, "dial s3://user:pass@s3.example/b: refused", "dial s3://...@s3.example/b: refused"),
		Entry(nil, "one\n  two\t three ", "one two three"),
		Entry(nil, "https://a.b/c and https://d?e=f.", "https://a.b/c and https://d?..."),
	)

	It("are short", func() {
		Expect(len(failure.Sanitize(string(make([]byte, 10_000))))).To(BeNumerically("<", 700))
	})
})
