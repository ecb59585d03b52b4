package transfer

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/controller/engine"
	"github.com/node-agent/node-agent/pkg/controller/moverpod"
	"github.com/node-agent/node-agent/pkg/waiting"
)

// waitingForSlot is the code of waiting for a free slot on the node.
const waitingForSlot = "WaitingForSlot"

// Start lets the mover begin when its node has a free slot.
func (e Steps) Start(ctx context.Context, s *engine.Scope) error {
	if s.Pod == nil || IsDeleting(s.Pod) || moverpod.Ended(s.Pod) {
		return e.Finish(ctx, s)
	}
	status := s.Status()
	limit, err := e.slotsOf(ctx, status.Node)
	if err != nil {
		return err
	}
	onNode, err := e.OnNode(ctx, status.Node)
	if err != nil {
		return err
	}
	if place, taken := e.Queues.ToStart(s.Object, onNode, limit); place > 0 {
		return engine.Wait(waiting.Reason{
			Code: waitingForSlot, Expected: true,
			Message: fmt.Sprintf("waiting for a slot on node %s: %s in its queue, %d at a time",
				status.Node, place, limit),
			Quote: taken,
		})
	}
	status.Phase = inProgress
	status.Message = e.InAttempt(s, "")
	if status.StartTimestamp == nil {
		status.StartTimestamp = &metav1.Time{Time: s.Now}
	}
	delete(s.Object.GetLabels(), v2alpha1.ExposeOnGoingLabel)
	return nil
}

// slotsOf returns how many may move data on a node at a time. A node that is not known has no labels.
func (e Steps) slotsOf(ctx context.Context, name string) (int, error) {
	node := &corev1.Node{}
	if err := e.Client.Get(ctx, client.ObjectKey{Name: name}, node); client.IgnoreNotFound(err) != nil {
		return 0, fmt.Errorf("reading node %s: %w", name, err)
	}
	return e.Config().Concurrency(node.Labels), nil
}
