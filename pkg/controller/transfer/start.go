package transfer

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/waiting"
)

// waitingForSlot is the code of waiting for a free slot on the node.
const waitingForSlot = "WaitingForSlot"

// Start lets the mover begin when its node has a free slot.
func (e *Engine) Start(ctx context.Context, s *Scope) error {
	if s.Pod == nil || IsDeleting(s.Pod) || podEnded(s.Pod) {
		return e.Finish(ctx, s)
	}
	status := s.Status()
	limit, err := e.slotsOf(ctx, status.Node)
	if err != nil {
		return err
	}
	onNode, err := e.transfers(ctx, client.MatchingFields{nodeIndex: status.Node})
	if err != nil {
		return err
	}
	if before := e.Queues.toStart.reserve(slots, s.Object, onNode, limit); len(before) >= limit {
		return Wait(waiting.Reason{
			Code: waitingForSlot, Expected: true,
			Message: fmt.Sprintf("waiting for a slot on node %s: %s in its queue, %d at a time",
				status.Node, describePlace(len(before)-limit+1), limit),
			Quote: holders(before),
		})
	}
	status.Phase = inProgress
	status.Message = e.inAttempt(s.Object, "")
	if status.StartTimestamp == nil {
		status.StartTimestamp = &metav1.Time{Time: s.Now}
	}
	delete(s.Object.GetLabels(), v2alpha1.ExposeOnGoingLabel)
	return nil
}
