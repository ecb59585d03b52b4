package notice_test

import (
	"encoding/json"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/node-agent/node-agent/pkg/notice"
)

var _ = Describe("Notices", func() {
	It("are counted by code, with the first path as an example, and told in a fixed order", func() {
		var c notice.Counter
		Expect(c.Notices()).To(BeEmpty())
		c.Add(notice.SpecialFilesSkipped, "run/socket")
		c.Add(notice.TimesNotKept, "a")
		c.Add(notice.TimesNotKept, "b")
		c.Set(notice.LargerThanVolume, 4096)
		Expect(c.Notices()).To(Equal([]notice.Notice{
			{Code: notice.LargerThanVolume, Count: 4096},
			{Code: notice.TimesNotKept, Count: 2, Example: "a"},
			{Code: notice.SpecialFilesSkipped, Count: 1, Example: "run/socket"},
		}))
		Expect(notice.Text(c.Notices())).To(Equal(
			"a restore needs 4096 bytes, more than the volume has: what files share, as by hard links, is written for each; " +
				"entries with times before 1677 or after 2262, of which the nearest that can be stored are kept: 2 (for instance a); " +
				"sockets, pipes and device nodes, which are not stored: 1 (for instance run/socket)"))
	})

	It("of all codes leave room in a termination message, whatever the paths", func() {
		var c notice.Counter
		for _, label := range notice.Labels() {
			c.Add(notice.Code(label), strings.Repeat("\u00e9/", 3000)+"\xff")
		}
		text, err := json.Marshal(c.Notices())
		Expect(err).NotTo(HaveOccurred())
		Expect(len(text)).To(BeNumerically("<", 3000))
		Expect(c.Notices()[0].Example).To(And(HavePrefix("..."), HaveSuffix("/?")))
	})

	It("of another version are told by their code, under one label", func() {
		other := notice.Notice{Code: "Newer", Count: 3}
		Expect(other.String()).To(Equal("Newer: 3"))
		Expect(notice.Labels()).To(ContainElement(other.Label()))
		known := notice.Notice{Code: notice.TimesNotKept}
		Expect(known.Label()).To(Equal("TimesNotKept"))
	})
})
