package queue

import (
	"fmt"
	"math/rand/v2"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/attempts"
)

// movesOf are the same as what queues are made of.
func movesOf(dataUploads []v2alpha1.DataUpload) []v2alpha1.Transfer {
	return v2alpha1.Transfers(&v2alpha1.DataUploadList{Items: dataUploads}, &v2alpha1.DataDownloadList{})
}

func queued(name string, age int, phase v2alpha1.Phase) v2alpha1.DataUpload {
	return v2alpha1.DataUpload{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, UID: types.UID("uid-" + name), CreationTimestamp: metav1.Unix(int64(1_800_000_000-age), 0),
		},
		Status: v2alpha1.DataUploadStatus{TransferStatus: v2alpha1.TransferStatus{Phase: phase, Node: "n"}},
	}
}

// written has all of its data where it belongs.
func written(du v2alpha1.DataUpload) v2alpha1.DataUpload {
	du.Annotations = map[string]string{RestoredAnnotation: "{}"}
	return du
}

var _ = It("is known of a change that it frees a slot", func() {
	running, done := queued("a", 1, inProgress), written(queued("a", 1, inProgress))
	Expect(FreesSlot(&running, &done)).To(BeTrue())
	Expect(FreesSlot(&done, &done)).To(BeFalse())
	Expect(FreesSlot(&running, &running)).To(BeFalse())
})

var _ = DescribeTable("how many are before a DataUpload that is prepared", func(du v2alpha1.DataUpload, before int, others ...v2alpha1.DataUpload) {
	q := &queue{}
	Expect(q.reserve(slots, &du, movesOf(append(others, du)), 0)).To(HaveLen(before))
},
	Entry("alone", queued("a", 1, prepared), 0),
	Entry("behind one that moves data, though that is younger", queued("a", 9, prepared), 1, queued("b", 1, inProgress)),
	Entry("behind one that is being stopped", queued("a", 9, prepared), 1, queued("b", 1, canceling)),
	Entry("behind an older one", queued("a", 1, prepared), 1, queued("b", 2, prepared)),
	Entry("before a younger one", queued("a", 2, prepared), 0, queued("b", 1, prepared)),
	Entry("of the same second, by name", queued("b", 1, prepared), 1, queued("a", 1, prepared), queued("c", 1, prepared)),
	Entry("those that are done do not count", queued("a", 1, prepared), 0, queued("b", 2, v2alpha1.PhaseCompleted), queued("c", 2, v2alpha1.PhaseFailed), queued("d", 2, v2alpha1.PhaseCanceled)),
	Entry("nor those whose data is written", queued("a", 1, prepared), 0, written(queued("b", 2, inProgress)), written(queued("c", 2, canceling))),
	Entry("nor those not prepared yet", queued("a", 1, prepared), 0, queued("b", 2, accepted)),
)

// The cache may lag behind what was written, writes may fail, and attempts be lost. Whatever it shows, no more than the
// limit may run at a time, and in the end every one has run.
var _ = It("never gives out more slots than there are, however far the cache lags", func() {
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 1))
		limit, count := 1+random.IntN(3), 2+random.IntN(8)
		truth := map[string]*v2alpha1.DataUpload{}
		for i := range count {
			du := queued(fmt.Sprintf("du-%d", i), random.IntN(100), prepared)
			truth[du.Name] = &du
		}
		cache := map[string]v2alpha1.DataUpload{}
		show := func(name string) { cache[name] = *truth[name].DeepCopy() }
		for name := range truth {
			show(name)
		}
		q := &queue{}
		deadline := time.Now().Add(10 * time.Second)
		for remaining := count; remaining > 0; {
			Expect(time.Now()).To(BeTemporally("<", deadline), "seed %d comes to no end", seed)
			name := fmt.Sprintf("du-%d", random.IntN(count))
			du := truth[name]
			switch random.IntN(4) {
			case 0:
				show(name)
			case 1:
				seen := cache[name]
				if seen.Status.Phase == prepared && du.Status.Phase == prepared && attempts.Number(&seen) == attempts.Number(du) {
					var onNode []v2alpha1.DataUpload
					for _, other := range cache {
						onNode = append(onNode, other)
					}
					if len(q.reserve(slots, &seen, movesOf(onNode), limit)) < limit && random.IntN(4) > 0 { // else the write fails
						du.Status.Phase = inProgress
					}
				}
			case 2:
				if du.Status.Phase == inProgress && cache[name].Status.Phase == inProgress {
					du.Status.Phase = v2alpha1.PhaseCompleted
					remaining--
				}
			case 3:
				if lost := attempts.LostBy(du); du.Status.Phase == inProgress && len(lost) < 2 {
					du.Status.Phase = prepared // the next attempt, with all between left out
					attempts.Record(du, attempts.Lost{Reason: "evicted"})
				}
			}
			running := 0
			for _, other := range truth {
				if holdsSlot(other) {
					running++
				}
			}
			Expect(running).To(BeNumerically("<=", limit), "seed %d", seed)
		}
	}
})
