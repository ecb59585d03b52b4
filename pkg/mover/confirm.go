package mover

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/attempts"
)

const (
	// confirmTimeout is how long a mover tries, after hours maybe, while the API server answers but does not let it write.
	confirmTimeout = 10 * time.Minute

	// interruptCheckTimeout is short, since the node kills the mover soon after SIGTERM.
	interruptCheckTimeout = 2 * time.Second
)

// confirm writes down on the DataUpload which snapshot is about to be saved, and makes sure that the DataUpload still wants
// it. A mover that was cut off from the API server does not see that it was given up, and its snapshot would be one too
// many; one that is lost before it has reported would leave a snapshot that nobody knows. Who cannot write, saves none.
func (m *attempt) confirm(ctx context.Context, snapshotID string) error {
	begin := m.Clock.Now()
	delay := newWatchDelay()
	for {
		asked := m.Clock.Now()
		now, err := m.announce(ctx, snapshotID)
		if err == nil {
			return m.hear(now, asked)
		}
		pause := delay.Step()
		if m.Clock.Since(begin)+pause > confirmTimeout {
			return fmt.Errorf("confirm that the snapshot is wanted: %w", err)
		}
		if ctx.Err() == nil {
			m.Log.WithError(err).WithField("delay", pause).Warn("Cannot confirm that the snapshot is wanted, trying again")
		}
		if m.pause(ctx, pause); ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// announce writes the ID of the snapshot that is about to be saved. It returns the DataUpload, nil if it is gone.
func (m *attempt) announce(ctx context.Context, snapshotID string) (v2alpha1.Transfer, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	target := m.assignment.kind.newTransfer()
	target.SetNamespace(m.Namespace)
	target.SetName(m.Name)
	body, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid":         m.assignment.uid,
		"annotations": map[string]string{attempts.SnapshotAnnotation: snapshotID},
	}})
	if err != nil {
		return nil, fmt.Errorf("marshal snapshot ID: %w", err)
	}
	err = m.Client.Patch(ctx, target, client.RawPatch(types.MergePatchType, body))
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case apierrors.IsConflict(err):
		// Another DataUpload of the same name, perhaps.
		if now, getErr := m.follower.get(ctx); getErr == nil && m.assignment.ending(now) != nil {
			return now, nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("patch %s: %w", m.assignment, err)
	}
	return target, nil
}

// interrupt ends the move because of SIGTERM. The signal may be faster than the news that the object was canceled, and
// then nothing must be kept for a later attempt.
func (m *attempt) interrupt() {
	ctx, cancel := context.WithTimeout(context.Background(), interruptCheckTimeout)
	defer cancel()
	if now, err := m.follower.get(ctx); err == nil {
		if ending := m.assignment.ending(now); ending != nil {
			m.end(ending)
			return
		}
	}
	m.end(m.assignment.interruption())
}
