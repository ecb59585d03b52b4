package dataupload

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/expose"
)

// waitingForSlot is the code of waiting for a free slot on the node.
const waitingForSlot = "WaitingForSlot"

// start lets the mover begin when its node has a free slot.
func (r *Reconciler) start(ctx context.Context, s *scope) (outcome, error) {
	if s.pod == nil || isDeleting(s.pod) || podEnded(s.pod) {
		return r.finish(ctx, s)
	}
	limit, err := r.slotsOf(ctx, s.du.Status.Node)
	if err != nil {
		return outcome{}, err
	}
	list := &v2alpha1.DataUploadList{}
	err = r.Client.List(ctx, list, client.InNamespace(r.Namespace), client.MatchingFields{nodeIndex: s.du.Status.Node})
	if err != nil {
		return outcome{}, fmt.Errorf("listing dataUploads of node %s: %w", s.du.Status.Node, err)
	}
	if place := r.toStart.claim(slots, s.du, list.Items, limit); place >= limit {
		return wait(expose.Reason{
			Code: waitingForSlot, Expected: true,
			Message: fmt.Sprintf("waiting for a slot on node %s: %s in its queue, %d at a time",
				s.du.Status.Node, describePlace(place-limit+1), limit),
		})
	}
	s.du.Status.Phase = inProgress
	s.du.Status.Message = r.inAttempt(s.du, "")
	if s.du.Status.StartTimestamp == nil {
		s.du.Status.StartTimestamp = &metav1.Time{Time: s.now}
	}
	s.du.Status.NodeOS = v2alpha1.NodeOSLinux
	delete(s.du.Labels, v2alpha1.ExposeOnGoingLabel)
	return outcome{}, nil
}
