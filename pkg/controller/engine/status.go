package engine

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/text"
	"github.com/node-agent/node-agent/pkg/waiting"
)

// maxMessage bounds status.message, in bytes: long enough for a provisioner's error, short enough for `kubectl get -o wide`.
const maxMessage = 1024

// write patches what the pass has changed, and only that: fields that this program does not know stay as they are.
// Nothing changed costs no call. Events and metrics follow once the write has succeeded.
func (e *Engine) write(ctx context.Context, s *Scope) error {
	if equality.Semantic.DeepEqual(s.read, s.Object) {
		return nil
	}
	s.Status().Message = text.Shorten(s.Status().Message, maxMessage)
	if s.phaseChanged() {
		dropReason(s)
	}
	before := s.read
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := e.Client.Patch(ctx, s.Object, patch); err != nil {
		return fmt.Errorf("writing phase %q of the %s: %w", s.Phase(), e.Kind.Words.Kind, err)
	}
	s.read = s.Object.DeepCopyObject().(v2alpha1.Transfer)
	e.announce(ctx, s, before)
	return nil
}

// explain records what is waited for. What is part of every healthy run is mentioned only if it lasts.
func (e *Engine) explain(s *Scope, reason waiting.Reason) {
	if reason.Message == "" {
		return
	}
	if reason.Expected && s.Status().Message == "" && s.Phase() == accepted && s.acceptedFor() < patience {
		return
	}
	if record(s.Object, reason, e.InAttempt(s, reason.Text())) {
		s.reason = reason
	}
}

// acceptedFor is how long ago it was accepted.
func (s *Scope) acceptedFor() time.Duration {
	if s.Status().AcceptedTimestamp == nil {
		return 0
	}
	return s.Now.Sub(s.Status().AcceptedTimestamp.Time)
}
