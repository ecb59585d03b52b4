package mover

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/attempts"
)

// mover is what differs between a DataUpload and a DataDownload.
type mover interface {
	kind() kind
	// move moves the data once it is time to, and returns the termination message of a success.
	move(ctx context.Context, m *attempt, begun v2alpha1.Transfer) (fmt.Stringer, error)
}

// run moves the data of one object and writes the termination message. It waits for the object to be InProgress, and ends
// with an error as soon as the object is canceled, deleted or terminal, has gone to a later attempt, or ctx ends because of
// a signal.
//
// A move that is complete is reported as a success even if a cancellation came in last: of a snapshot that is safe in the
// repository nobody else would know, and it would stay for ever.
//
// The error is an *ExitError. Its text is that of the termination message, which holds no secrets.
func run(ctx context.Context, o Options, by mover) error {
	moved, err := follow(ctx, o, by)
	var message string
	if err != nil {
		message = failureMessage(err)
		err = exitError(errors.New(message), retryable(err))
	} else {
		message = moved.String()
		o.Log.WithField("result", message).Info("The data is moved")
	}
	if writeErr := writeTerminationMessage(o.TerminationMessagePath, message); writeErr != nil {
		// Another attempt finds what was moved, and may be able to tell.
		err = errors.Join(err, exitError(writeErr, true))
	}
	return err
}

// follow follows the object and moves the data once it is InProgress. Whatever ends the move early ends its context.
func follow(signaled context.Context, o Options, by mover) (fmt.Stringer, error) {
	ctx, end := context.WithCancelCause(context.WithoutCancel(signaled))
	var following sync.WaitGroup
	defer following.Wait()
	defer end(nil)
	m := newAttempt(o, by.kind(), end)
	release := context.AfterFunc(signaled, m.interrupt)
	defer release()

	started := make(chan v2alpha1.Transfer, 1)
	following.Go(func() { m.followUntilEnd(ctx, started) })

	o.Log.Infof("Waiting for the %s to be InProgress", m.assignment.kind.name)
	var moved fmt.Stringer
	var err error
	select {
	case <-ctx.Done():
		err = ctx.Err()
	case begun := <-started:
		m.lease.begin()
		following.Go(func() { m.limitSilence(ctx) })
		if err = m.takeLease(ctx); err == nil {
			following.Go(func() { m.keepLease(ctx) })
			moved, err = m.moveWhileLeased(ctx, by, begun)
		}
	}
	if err == nil {
		return moved, nil
	}
	if early, ok := errors.AsType[*endingError](context.Cause(ctx)); ok {
		return nil, early
	}
	return nil, err
}

// moveWhileLeased moves the data. If the move was ended early and does not come to its end, it is left behind when its lease is over.
func (m *attempt) moveWhileLeased(ctx context.Context, by mover, begun v2alpha1.Transfer) (fmt.Stringer, error) {
	type outcome struct {
		moved fmt.Stringer
		err   error
	}
	done := make(chan outcome, 1)
	go func() {
		moved, err := by.move(ctx, m, begun)
		done <- outcome{moved, err}
	}()
	var left <-chan time.Time
	ended := ctx.Done()
	for {
		select {
		case o := <-done:
			return o.moved, o.err
		case <-ended:
			ended, left = nil, m.Clock.After(attempts.Lease-m.lease.silence())
		case <-left:
			return nil, ctx.Err()
		}
	}
}

// attempt is what a mover does: it moves the data of one object, and may be ended early.
type attempt struct {
	Options

	follower   follower
	assignment *assignment
	lease      *lease
	// end ends the context of the move.
	end context.CancelCauseFunc
}

func newAttempt(o Options, kind kind, end context.CancelCauseFunc) *attempt {
	key := client.ObjectKey{Namespace: o.Namespace, Name: o.Name}
	return &attempt{
		Options:    o,
		follower:   follower{kind: kind, client: o.Client, key: key, clock: o.Clock, log: o.Log},
		assignment: &assignment{kind: kind, name: key.String(), attempt: o.Attempt},
		lease:      &lease{clock: o.Clock},
		end:        end,
	}
}

// followUntilEnd sends the object to started once it is InProgress and ends the move when it must not go on.
func (m *attempt) followUntilEnd(ctx context.Context, started chan<- v2alpha1.Transfer) {
	running := false
	see := func(now v2alpha1.Transfer, asked time.Time) bool {
		if m.hear(now, asked) != nil {
			return false
		}
		if !running && m.assignment.begins(now) {
			running = true
			started <- now
		}
		return true
	}
	if err := m.follower.follow(ctx, see); apierrors.IsUnauthorized(err) {
		m.end(m.assignment.unknown(err))
	} else if err != nil {
		m.end(&endingError{error: err})
	}
}
