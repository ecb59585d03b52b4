package queue

import (
	"fmt"
	"strings"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
)

// slots are what those wait for that are prepared on a node: no more than the configuration says may move data there at a
// time, DataUploads and DataDownloads together.
var slots = gate{waits: IsPrepared, passed: holdsSlot}

// IsPrepared tells whether it waits for a slot, or is about to.
func IsPrepared(transfer v2alpha1.Transfer) bool {
	return transfer.TransferStatus().Phase == prepared
}

// RestoredAnnotation holds on a DataDownload what its restore pod has left behind. From then on the volume is handed over: the
// pod is no longer needed to know what is to be done, and its slot is free.
const RestoredAnnotation = "node-agent.io/restored"

func holdsSlot(transfer v2alpha1.Transfer) bool {
	_, written := transfer.GetAnnotations()[RestoredAnnotation]
	phase := transfer.TransferStatus().Phase
	return (phase == inProgress || phase == canceling) && !written
}

// ToStart tells whether a DataUpload or DataDownload that is prepared must wait for a slot on its node: then it returns its place in
// the queue, counted from 1, and who has the slots. onNode are all on that node that have not ended, limit is the number of slots. It
// returns 0 if it may move data now.
func (q *Queues) ToStart(transfer v2alpha1.Transfer, onNode []v2alpha1.Transfer, limit int) (place Place, taken string) {
	before := q.toStart.reserve(slots, transfer, onNode, limit)
	if len(before) < limit {
		return 0, ""
	}
	return Place(len(before) - limit + 1), holders(before)
}

// FreesSlot tells whether one left the queue of its node with a change: it has ended, its attempt was lost, or all its data is written.
func FreesSlot(before, after v2alpha1.Transfer) bool {
	left := NodeOf(before) != "" && NodeOf(after) != NodeOf(before)
	return left || holdsSlot(before) && !holdsSlot(after)
}

// NodeOf is the node of what has not ended, on which it has or wants a slot; empty if it is not prepared yet.
func NodeOf(transfer v2alpha1.Transfer) string {
	if transfer.TransferStatus().Phase.IsTerminal() {
		return ""
	}
	return transfer.TransferStatus().Node
}

// holders names those that hold slots, a few of them.
func holders(before []v2alpha1.Transfer) string {
	const most = 3
	var names []string
	more := 0
	for _, transfer := range before {
		switch {
		case !holdsSlot(transfer):
		case len(names) == most:
			more++
		default:
			names = append(names, transfer.TransferKind()+" "+transfer.GetName())
		}
	}
	if len(names) == 0 {
		return ""
	}
	text := "taken by " + strings.Join(names, ", ")
	if more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
