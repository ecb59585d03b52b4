package v1_test

import (
	"strings"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
)

func TestLabels(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Labels")
}

var _ = DescribeTable("a label value of a name", func(name, want string) {
	Expect(velerov1.LabelValue(name)).To(Equal(want))
},
	Entry("empty", "", ""),
	Entry("short", "shop", "shop"),
	Entry("as long as may be", strings.Repeat("a", 63), strings.Repeat("a", 63)),
	// echo -n aaaa...(64) | sha256sum
	Entry("too long", strings.Repeat("a", 64), strings.Repeat("a", 57)+"ffe054"),
)
