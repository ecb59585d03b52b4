package dataupload

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/expose"
)

// Unattended tells DataUploads that no agent works on them. The next leader takes that back.
type Unattended struct {
	// Namespace is Velero's.
	Namespace string
	// Client reads and writes the API server: there is no cache where nobody leads.
	Client client.Client
	Events events.EventRecorder
}

// Tell writes why no agent works into every DataUpload that has not ended, unless it stands there already. Several agents
// may do it side by side: who comes second finds it done.
func (u Unattended) Tell(ctx context.Context, why string) error {
	list := &v2alpha1.DataUploadList{}
	if err := u.Client.List(ctx, list, client.InNamespace(u.Namespace)); err != nil {
		return fmt.Errorf("listing dataUploads: %w", err)
	}
	reason := expose.Reason{Code: noLeader, Message: "no agent works on DataUploads", Quote: why}
	var failures []error
	for i := range list.Items {
		du := &list.Items[i]
		if !isOurs(du) || du.Status.Phase.IsTerminal() {
			continue
		}
		if err := u.tell(ctx, du, reason); err != nil {
			failures = append(failures, err)
		}
	}
	return errors.Join(failures...)
}

func (u Unattended) tell(ctx context.Context, du *v2alpha1.DataUpload, reason expose.Reason) error {
	before := du.DeepCopy()
	if !record(du, reason, reason.Text()) {
		return nil
	}
	err := u.Client.Patch(ctx, du, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	switch {
	case isOutdated(err):
		return nil // somebody was faster, or it is gone; the next look tells
	case err != nil:
		return fmt.Errorf("telling dataupload %s: %w", du.Name, err)
	}
	u.Events.Eventf(du, nil, corev1.EventTypeWarning, noLeader, actionPrepare, "%s", du.Status.Message)
	return nil
}
