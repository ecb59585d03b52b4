package dataupload

import (
	"context"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/attempts"
	"github.com/node-agent/node-agent/pkg/expose"
	"github.com/node-agent/node-agent/pkg/metrics"
)

// An attempt is one backup pod. One that is lost, because its node is gone say, says nothing about the data, so another
// reads the same backupPVC from the start of preparing on, and takes from the repository what is there already.

// backupPodLost is the code of a lost attempt.
const backupPodLost = "BackupPodLost"

// Back-off before another attempt: the first after a loss, doubled with every further one, up to the last.
const (
	minBackOff = 10 * time.Second
	maxBackOff = 5 * time.Minute
)

// lose gives the attempt up. In one write the loss is recorded and the next attempt is Accepted, so that it is neither
// forgotten nor counted twice; the pod is removed after that.
func (r *Reconciler) lose(s *scope, how loss) (outcome, error) {
	number := attempts.Number(s.du)
	lost := attempts.Lost{Node: s.du.Status.Node, At: metav1.Time{Time: s.now}, Reason: how.words}
	if s.pod != nil {
		lost.Pod, lost.Node = s.pod.UID, s.pod.Spec.NodeName
	}
	attempts.Record(s.du, lost)
	s.lost = how.cause
	if number >= r.MaxAttempts {
		s.end(failed, "backup pod failed: "+history(s.du))
		return outcome{}, nil
	}
	if s.phase() != accepted {
		// The prepare timeout counts anew: the attempt is prepared anew.
		s.du.Status.Phase = accepted
		s.du.Status.AcceptedTimestamp = &metav1.Time{Time: s.now}
		s.du.Status.Node = ""
		s.du.Status.Progress = v2alpha1.DataMoveOperationProgress{}
		metav1.SetMetaDataLabel(&s.du.ObjectMeta, v2alpha1.ExposeOnGoingLabel, "true")
	}
	s.reason = pausing(backOff(number))
	record(s.du, s.reason, r.inAttempt(s.du, s.reason.Text()))
	return waitFor(time.Millisecond, expose.Reason{})
}

// awaitNextAttempt removes the pod of a lost attempt and waits until the next one may start.
func (r *Reconciler) awaitNextAttempt(ctx context.Context, s *scope) (outcome, error) {
	if s.lostPod != nil {
		return r.removeLostPod(ctx, s)
	}
	lost := attempts.LostBy(s.du)
	if s.pod != nil || len(lost) == 0 {
		return outcome{}, nil
	}
	pause := backOff(len(lost))
	if remaining := lost[len(lost)-1].At.Add(pause).Sub(s.now); remaining > 0 {
		return waitFor(remaining, pausing(pause))
	}
	return outcome{}, nil
}

func pausing(pause time.Duration) expose.Reason {
	return expose.Reason{Code: backupPodLost, Message: fmt.Sprintf("starts after a back-off of %s", pause)}
}

func (r *Reconciler) removeLostPod(ctx context.Context, s *scope) (outcome, error) {
	if !isDeleting(s.lostPod) {
		if err := r.delete(ctx, "backup pod of the lost attempt", s.lostPod); err != nil {
			return outcome{}, err
		}
		return wait(expose.Reason{})
	}
	after, err := r.forceStuckPod(ctx, s, s.lostPod)
	if err != nil {
		return outcome{}, err
	}
	return waitFor(after, expose.Reason{
		Code: beingDeleted, Expected: true, Message: "waits until the backup pod of the lost attempt is gone",
	})
}

// backOff is how long to wait after a number of lost attempts.
func backOff(lost int) time.Duration {
	pause := minBackOff
	for range lost - 1 {
		pause = min(2*pause, maxBackOff)
	}
	return pause
}

// inAttempt says which attempt a message is about, and what became of those before. The first one is not mentioned.
func (r *Reconciler) inAttempt(du *v2alpha1.DataUpload, message string) string {
	number := attempts.Number(du)
	if number == 1 {
		return message
	}
	head := fmt.Sprintf("attempt %d of %d", number, r.MaxAttempts)
	if message != "" {
		head += ": " + message
	}
	return head + "; " + history(du)
}

// history says what became of the lost attempts.
func history(du *v2alpha1.DataUpload) string {
	var lines []string
	for i, lost := range attempts.LostBy(du) {
		where := ""
		if lost.Node != "" {
			where = " on node " + lost.Node
		}
		lines = append(lines, fmt.Sprintf("attempt %d%s was lost: %s", i+1, where, lost.Reason))
	}
	return strings.Join(lines, "; ")
}

// announceLoss tells about a lost attempt.
func (r *Reconciler) announceLoss(s *scope) {
	metrics.ObserveLostAttempt(s.lost)
	if s.phase() == accepted {
		r.announceWait(s)
	}
	s.lost = ""
}
