package queue

import (
	"fmt"
	"math/rand/v2"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
)

var _ = DescribeTable("how many are before a DataUpload that is to be prepared",
	func(du v2alpha1.DataUpload, before int, others ...v2alpha1.DataUpload) {
		q := &queue{}
		Expect(q.reserve(preparation, &du, movesOf(append(others, du)), 0)).To(HaveLen(before))
	},
	Entry("alone", queued("a", 1, isNew), 0),
	Entry("being prepared counts, though younger", queued("a", 9, ""), 2, queued("b", 1, accepted), queued("c", 1, prepared)),
	Entry("older ones that wait count", queued("a", 5, ""), 1, queued("b", 6, isNew), queued("c", 4, "")),
	Entry("of the same second, by name", queued("b", 1, ""), 1, queued("a", 1, ""), queued("c", 1, "")),
	Entry("those that move data or are done do not count", queued("a", 1, ""), 0,
		queued("b", 2, inProgress), queued("c", 2, canceling), queued("d", 2, v2alpha1.PhaseCompleted), queued("e", 2, v2alpha1.PhaseFailed), queued("f", 2, v2alpha1.PhaseCanceled)),
)

// crowd plays DataUploads in front of a queue: what is true, and what the cache shows of it.
type crowd struct {
	random *rand.Rand
	truth  []v2alpha1.DataUpload
	cache  []v2alpha1.DataUpload
	queue  *queue
	limit  int
}

func newCrowd(seed uint64) *crowd {
	c := &crowd{random: rand.New(rand.NewPCG(seed, 2)), queue: &queue{}}
	c.limit = 1 + c.random.IntN(3)
	for i := range 2 + c.random.IntN(8) {
		c.truth = append(c.truth, queued(fmt.Sprintf("du-%d", i), c.random.IntN(100), ""))
	}
	c.show()
	return c
}

func (c *crowd) show() { c.cache = append([]v2alpha1.DataUpload(nil), c.truth...) }

// step lets one thing happen to one DataUpload.
func (c *crowd) step() {
	i := c.random.IntN(len(c.truth))
	du := &c.truth[i]
	switch c.random.IntN(5) {
	case 0:
		c.cache[i] = *du
	case 1, 2:
		// A pass over what the cache shows. Its write fails with a conflict where the cache is old.
		if seen := c.cache[i]; isUnaccepted(&seen) && len(c.queue.reserve(preparation, &seen, movesOf(c.cache), c.limit)) < c.limit && isUnaccepted(du) {
			du.Status.Phase = accepted
		}
	case 3:
		switch seen := c.cache[i].Status.Phase; {
		case seen == accepted && du.Status.Phase == accepted:
			du.Status.Phase = prepared
		case seen == prepared && du.Status.Phase == prepared:
			du.Status.Phase = inProgress
		}
	case 4:
		if c.random.IntN(20) == 0 { // another leader, which begins with what is true
			c.queue = &queue{}
			c.show()
		}
	}
}

func (c *crowd) count(counts func(v2alpha1.Transfer) bool) int {
	n := 0
	for i := range c.truth {
		if counts(&c.truth[i]) {
			n++
		}
	}
	return n
}

var _ = It("never lets more be prepared than configured, however far the cache lags, and everyone in the end", func() {
	for seed := range uint64(300) {
		c := newCrowd(seed)
		for steps := 0; c.count(func(m v2alpha1.Transfer) bool { return m.TransferStatus().Phase != inProgress }) > 0; steps++ {
			Expect(steps).To(BeNumerically("<", 100_000), "seed %d comes to no end", seed)
			c.step()
			Expect(c.count(isPreparing)).To(BeNumerically("<=", c.limit), "seed %d", seed)
		}
	}
})

var _ = Describe("a reservation", func() {
	a, b := queued("a", 2, ""), queued("b", 1, "")

	It("holds for whoever could not write it, although an older one has come since", func() {
		q := &queue{}
		Expect(q.reserve(preparation, &b, movesOf([]v2alpha1.DataUpload{b}), 1)).To(BeEmpty())
		Expect(q.reserve(preparation, &a, movesOf([]v2alpha1.DataUpload{a, b}), 1)).To(HaveLen(1))
		Expect(q.reserve(preparation, &b, movesOf([]v2alpha1.DataUpload{a, b}), 1)).To(BeEmpty())
	})

	It("is forgotten with its DataUpload", func() {
		q := &queue{}
		Expect(q.reserve(preparation, &a, movesOf([]v2alpha1.DataUpload{a, b}), 1)).To(BeEmpty())
		q.release(memberOf(&a))
		Expect(q.reserve(preparation, &b, movesOf([]v2alpha1.DataUpload{b}), 1)).To(BeEmpty())
	})

	It("is not its namesake's", func() {
		q := &queue{}
		namesake := queued("a", 1, "")
		namesake.UID = "other"
		Expect(q.reserve(preparation, &a, movesOf([]v2alpha1.DataUpload{a}), 1)).To(BeEmpty())
		Expect(q.reserve(preparation, &namesake, movesOf([]v2alpha1.DataUpload{queued("c", 2, accepted), namesake}), 1)).To(HaveLen(1))
	})
})

var _ = DescribeTable("those that fit in", func(limit int, want ...string) {
	unstarted := []v2alpha1.DataUpload{
		queued("young", 1, ""), queued("old", 9, ""), queued("a", 2, accepted), queued("b", 3, prepared), queued("middle", 5, isNew),
	}
	var names []string
	for _, transfer := range FitIn(movesOf(unstarted), limit) {
		names = append(names, transfer.GetName())
	}
	Expect(names).To(ConsistOf(want))
},
	Entry("are none while too many are being prepared", 1),
	Entry("are none while as many as allowed are", 2),
	Entry("are the oldest", 3, "old"),
	Entry("are the oldest ones", 4, "old", "middle"),
	Entry("may be fewer than there is room for", 9, "old", "middle", "young"),
	Entry("are all without a limit", 0, "old", "middle", "young"),
)

var _ = DescribeTable("a place in the queue is described", func(key int, words string) {
	Expect(Place(key).String()).To(Equal(words))
},
	Entry(nil, 1, "place 1"), Entry(nil, 10, "place 10"), Entry(nil, 11, "after place 10"), Entry(nil, 20, "after place 10"),
	Entry(nil, 21, "after place 20"), Entry(nil, 999, "after place 500"), Entry(nil, 5000, "after place 1000"),
)

var _ = Describe("DataDownloads", func() {
	download := func(name string, age int, phase v2alpha1.Phase) *v2alpha1.DataDownload {
		like := queued(name, age, phase)
		return &v2alpha1.DataDownload{ObjectMeta: like.ObjectMeta, Status: v2alpha1.DataDownloadStatus{TransferStatus: like.Status.TransferStatus}}
	}
	namesOf := func(transfers []v2alpha1.Transfer) []string {
		var names []string
		for _, transfer := range transfers {
			names = append(names, transfer.GetName())
		}
		return names
	}
	upload := func(name string, age int, phase v2alpha1.Phase) *v2alpha1.DataUpload {
		du := queued(name, age, phase)
		return &du
	}

	DescribeTable("wait in one line with DataUploads, and go first", func(l gate, waits, passed v2alpha1.Phase) {
		youngRestore, oldBackup := download("young-restore", 1, waits), upload("old-backup", 9, waits)
		all := []v2alpha1.Transfer{oldBackup, youngRestore, download("old-restore", 5, waits)}
		Expect(namesOf((&queue{}).reserve(l, youngRestore, all, 0))).To(ConsistOf("old-restore"))
		Expect(namesOf((&queue{}).reserve(l, oldBackup, all, 0))).To(ConsistOf("old-restore", "young-restore"))

		By("but they do not push out a DataUpload that has passed")
		all = []v2alpha1.Transfer{upload("running-backup", 1, passed), youngRestore}
		Expect(namesOf((&queue{}).reserve(l, youngRestore, all, 1))).To(ConsistOf("running-backup"))
	},
		Entry("for a slot on the node", slots, prepared, inProgress),
		Entry("to be prepared", preparation, isNew, accepted),
	)

	It("are woken first where there is room for one", func() {
		all := []v2alpha1.Transfer{upload("old-backup", 9, isNew), download("young-restore", 1, isNew), upload("preparing", 2, accepted)}
		Expect(namesOf(FitIn(all, 2))).To(Equal([]string{"young-restore"}))
	})
})
