package waiting_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/node-agent/node-agent/pkg/waiting"
)

var _ = DescribeTable("the cause of waiting", func(before, after string, same bool) {
	cause := func(quote string) string {
		return waiting.Reason{Code: waiting.MountFailed, Message: "backup pod velero/b", Quote: quote}.Cause()
	}
	if same {
		Expect(cause(after)).To(Equal(cause(before)))
	} else {
		Expect(cause(after)).NotTo(Equal(cause(before)))
	}
	Expect(cause(before)).To(HavePrefix("MountFailed/"))
},
	Entry("back-off", "back-off 20s restarting", "back-off 1m20s restarting", true),
	Entry("nodes in another order", "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint {a: b}.",
		"0/4 nodes are available: 1 node(s) had untolerated taint {a: b}, 3 Insufficient cpu.", true),
	Entry("use of a quota", "exceeded quota: small, requested: pods=1, used: pods=3, limited: pods=3",
		"exceeded quota: small, requested: pods=1, used: pods=4, limited: pods=3", true),
	Entry("volume and request", "volume pvc-66ed064b-300e-447c: status code: 400, request id: 5c2bfa1e-0d4b",
		"volume pvc-77ed064b-300e-447c: status code: 400, request id: 0a2bfa1e-0d4b", true),
	Entry("address and time", "read tcp 10.0.0.5:43210->10.0.0.9:443: i/o timeout at 2026-11-23T10:00:00Z",
		"read tcp 10.0.0.5:51234->10.0.0.9:443: i/o timeout at 2026-11-23T10:00:20Z", true),
	Entry("line breaks", "no space\nleft", "no  space left", true),
	Entry("another error", "no space left", "permission denied", false),
	Entry("another name", `volume group "vg1" is full`, `volume group "vg2" is full`, false),
	Entry("more words", "no space left", "no space left on device", false),
)

var _ = Describe("the cause in our own words", func() {
	It("is the same for another place in a queue, but not on another node or with another class", func() {
		cause := func(message string) string { return waiting.Reason{Code: "C", Message: message}.Cause() }
		Expect(cause("node a: place 2 in its queue")).To(Equal(cause("node a: place 1 in its queue")))
		Expect(cause("node a2: place 2 in its queue")).NotTo(Equal(cause("node a1: place 2 in its queue")))
		Expect(cause(`class "c-1234567890-1" not found`)).NotTo(Equal(cause(`class "c-1234567890-2" not found`)))
	})
})
