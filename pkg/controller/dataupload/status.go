package dataupload

import (
	"context"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/expose"
)

// maxMessage bounds status.message, in bytes: long enough for a provisioner's error, short enough for `kubectl get -o wide`.
const maxMessage = 1024

// write patches what the pass has changed, and only that: fields that this program does not know stay as they are.
// Nothing changed costs no call. Events and metrics follow once the write has succeeded.
func (r *Reconciler) write(ctx context.Context, s *scope) error {
	if equality.Semantic.DeepEqual(s.read, s.du) {
		return nil
	}
	s.du.Status.Message = truncate(s.du.Status.Message)
	if s.phaseChanged() {
		forgetOld(s)
	}
	before := s.read
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := r.Client.Patch(ctx, s.du, patch); err != nil {
		return fmt.Errorf("writing phase %q of the dataupload: %w", s.phase(), err)
	}
	s.read = s.du.DeepCopy()
	r.announce(s, before)
	return nil
}

// explain records what the DataUpload waits for. What is part of every healthy run is mentioned only if it lasts.
func (r *Reconciler) explain(s *scope, reason expose.Reason) {
	if reason.Message == "" {
		return
	}
	if reason.Expected && s.du.Status.Message == "" && s.phase() == accepted && s.acceptedFor() < patience {
		return
	}
	if record(s.du, reason, r.inAttempt(s.du, reason.Text())) {
		s.reason = reason
	}
}

// acceptedFor is how long ago the DataUpload was accepted.
func (s *scope) acceptedFor() time.Duration {
	if s.du.Status.AcceptedTimestamp == nil {
		return 0
	}
	return s.now.Sub(s.du.Status.AcceptedTimestamp.Time)
}

// truncate shortens a message in its middle: what was being done stands at its beginning, the cause at its end.
func truncate(message string) string {
	const ellipsis = " ... "
	if len(message) <= maxMessage {
		return message
	}
	half := (maxMessage - len(ellipsis)) / 2
	return strings.ToValidUTF8(message[:half], "") + ellipsis + strings.ToValidUTF8(message[len(message)-half:], "")
}
