package transfer

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
	moves, err := u.moves(ctx)
	if err != nil {
		return err
	}
	var failures []error
	for _, move := range moves {
		if !isOurs(move) || move.TransferStatus().Phase.IsTerminal() {
			continue
		}
		reason := expose.Reason{Code: noLeader, Message: "no agent works on " + move.TransferKind() + "s", Quote: why}
		if err := u.tell(ctx, move, reason); err != nil {
			failures = append(failures, err)
		}
	}
	return errors.Join(failures...)
}

func (u Unattended) moves(ctx context.Context) ([]v2alpha1.Transfer, error) {
	uploads, downloads := &v2alpha1.DataUploadList{}, &v2alpha1.DataDownloadList{}
	for _, list := range []client.ObjectList{uploads, downloads} {
		if err := u.Client.List(ctx, list, client.InNamespace(u.Namespace)); err != nil {
			return nil, fmt.Errorf("listing dataUploads and dataDownloads: %w", err)
		}
	}
	return allMoves(uploads, downloads), nil
}

func (u Unattended) tell(ctx context.Context, move v2alpha1.Transfer, reason expose.Reason) error {
	before := move.DeepCopyObject().(v2alpha1.Transfer)
	if !record(move, reason, reason.Text()) {
		return nil
	}
	err := u.Client.Patch(ctx, move, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	switch {
	case isOutdated(err):
		return nil // somebody was faster, or it is gone; the next look tells
	case err != nil:
		return fmt.Errorf("telling %s %s: %w", move.TransferKind(), move.GetName(), err)
	}
	u.Events.Eventf(move, nil, corev1.EventTypeWarning, noLeader, actionPrepare, "%s", move.TransferStatus().Message)
	return nil
}
