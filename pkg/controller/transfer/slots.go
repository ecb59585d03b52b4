package transfer

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
)

// slots are what those wait for that are prepared on a node: no more than the configuration says may move data there at a
// time, DataUploads and DataDownloads together.
var slots = gate{waits: isPrepared, passed: holdsSlot}

func isPrepared(transfer v2alpha1.Transfer) bool {
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

// slotsOf returns how many may move data on a node at a time. A node that is not known has no labels.
func (e *Engine) slotsOf(ctx context.Context, name string) (int, error) {
	node := &corev1.Node{}
	if err := e.Client.Get(ctx, client.ObjectKey{Name: name}, node); client.IgnoreNotFound(err) != nil {
		return 0, fmt.Errorf("reading node %s: %w", name, err)
	}
	return e.Config().Concurrency(node.Labels), nil
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
