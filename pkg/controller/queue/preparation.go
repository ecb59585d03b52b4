package queue

import (
	"slices"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
)

// preparation is the gate in front of being accepted.
var preparation = gate{waits: isUnaccepted, passed: isPreparing}

func isUnaccepted(transfer v2alpha1.Transfer) bool {
	return transfer.TransferStatus().Phase == "" || transfer.TransferStatus().Phase == isNew
}

// isPreparing tells whether a DataUpload or DataDownload takes up room in the cluster without moving data yet.
func isPreparing(transfer v2alpha1.Transfer) bool {
	return transfer.TransferStatus().Phase == accepted || transfer.TransferStatus().Phase == prepared
}

// Unstarted tells whether one is in the cluster's queue: New, or prepared without moving data yet.
func Unstarted(transfer v2alpha1.Transfer) bool {
	return isUnaccepted(transfer) || isPreparing(transfer)
}

// ToPrepare tells whether a New one must wait until others have started: then it returns its place in the queue, counted from 1.
// unstarted are all that are Unstarted, limit is how many may be prepared at a time. It returns 0 if it may be accepted now.
func (q *Queues) ToPrepare(transfer v2alpha1.Transfer, unstarted []v2alpha1.Transfer, limit int) Place {
	return Place(max(len(q.toPrepare.reserve(preparation, transfer, unstarted, limit))-limit+1, 0))
}

// FitIn chooses, of those that are Unstarted, those that wait to be prepared and for which there is room, in their order. A limit of 0
// is none.
func FitIn(unstarted []v2alpha1.Transfer, limit int) []v2alpha1.Transfer {
	room := limit
	var held []v2alpha1.Transfer
	for _, transfer := range unstarted {
		if isPreparing(transfer) {
			room--
		} else {
			held = append(held, transfer)
		}
	}
	if limit == 0 {
		return held
	}
	slices.SortFunc(held, compare)
	return held[:min(len(held), max(room, 0))]
}
