package engine

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/waiting"
)

// Unattended tells DataUploads and DataDownloads that no agent works on them. The next leader takes that back.
type Unattended struct {
	// Namespace is Velero's.
	Namespace string
	// Client reads and writes the API server: there is no cache where nobody leads.
	Client client.Client
	Events events.EventRecorder
}

// Tell writes why no agent works into everything that has not ended, unless it stands there already. Several agents may do it
// side by side: who comes second finds it done.
func (u Unattended) Tell(ctx context.Context, why string) error {
	transfers, err := listTransfers(ctx, u.Client, u.Namespace)
	if err != nil {
		return err
	}
	var failures []error
	for _, transfer := range transfers {
		if !isOurs(transfer) || transfer.TransferStatus().Phase.IsTerminal() {
			continue
		}
		reason := waiting.Reason{Code: noLeader, Message: "no agent works on " + transfer.TransferKind() + "s", Quote: why}
		if err := u.tell(ctx, transfer, reason); err != nil {
			failures = append(failures, err)
		}
	}
	return errors.Join(failures...)
}

func (u Unattended) tell(ctx context.Context, transfer v2alpha1.Transfer, reason waiting.Reason) error {
	before := transfer.DeepCopyObject().(v2alpha1.Transfer)
	if !record(transfer, reason, reason.Text()) {
		return nil
	}
	err := u.Client.Patch(ctx, transfer, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	switch {
	case isOutdated(err):
		return nil // somebody was faster, or it is gone; the next look tells
	case err != nil:
		return fmt.Errorf("telling %s %s: %w", transfer.TransferKind(), transfer.GetName(), err)
	}
	u.Events.Eventf(transfer, nil, corev1.EventTypeWarning, noLeader, actionPrepare, "%s", transfer.TransferStatus().Message)
	return nil
}
