package names_test

import (
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/node-agent/node-agent/pkg/repository/names"
)

func TestNames(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "repository/names")
}

var _ = Describe("Names of entries", func() {
	DescribeTable("are stored, and come back", func(name, stored string) {
		Expect(names.Escape(name)).To(Equal(stored))
		Expect(names.Unescape(stored)).To(Equal(name))
	},
		Entry("ASCII", "a b", "a b"),
		Entry("UTF-8", "\u00e4\u6f22\U0001f600", "\u00e4\u6f22\U0001f600"),
		Entry("Latin-1", "f\xfcr", "f\ueffcr"),
		Entry("a mixture", "\u00e4\xff\xc3", "\u00e4\uefff\uefc3"),
		Entry("what stands for what cannot be decoded", "\ufffd", "\ufffd"),
		Entry("the characters that stand for bytes", "\uefff", "\uefee\uefbf\uefbf"),
	)
})
