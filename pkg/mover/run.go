package mover

import (
	"context"
	"errors"
	"sync"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/mover/result"
)

// Run moves the data of one DataUpload and writes the termination message. It waits for the DataUpload to be InProgress,
// and ends with an error as soon as the DataUpload is canceled, deleted or terminal, has gone to a later attempt, or ctx
// ends because of a signal.
//
// Data that is safe in the repository is reported as a success even if a cancellation came in last: only so does anybody
// know the snapshot, which otherwise would stay for ever.
//
// The error is an *ExitError. Its text is that of the termination message, which holds no secrets.
func Run(ctx context.Context, o Options) error {
	moved, err := move(ctx, o)
	message := moved.String()
	if err != nil {
		message = failureMessage(err)
		err = exitError(errors.New(message), retryable(err))
	} else {
		o.Log.WithField("result", message).Info("The data is in the repository")
	}
	if writeErr := writeTerminationMessage(o.TerminationMessagePath, message); writeErr != nil {
		// Another attempt finds the snapshot, and may be able to tell.
		err = errors.Join(err, exitError(writeErr, true))
	}
	return err
}

// move follows the DataUpload and uploads once it is InProgress. Whatever ends the move early ends its context.
func move(signaled context.Context, o Options) (result.Result, error) {
	ctx, end := context.WithCancelCause(context.WithoutCancel(signaled))
	var following sync.WaitGroup
	defer following.Wait()
	defer end(nil)
	m := newMove(o, end)
	release := context.AfterFunc(signaled, m.interrupt)
	defer release()

	started := make(chan *v2alpha1.DataUpload, 1)
	following.Go(func() { m.followUntilEnd(ctx, started) })

	o.Log.Info("Waiting for the DataUpload to be InProgress")
	var moved result.Result
	var err error
	select {
	case <-ctx.Done():
		err = ctx.Err()
	case du := <-started:
		moved, err = m.upload(ctx, du)
	}
	if err == nil {
		return moved, nil
	}
	if early, ok := errors.AsType[*endingError](context.Cause(ctx)); ok {
		return result.Result{}, early
	}
	return result.Result{}, err
}

// movement is a move under way.
type movement struct {
	Options

	follower follower
	claim    *claim
	// end ends the context of the move.
	end context.CancelCauseFunc
}

func newMove(o Options, end context.CancelCauseFunc) *movement {
	key := client.ObjectKey{Namespace: o.Namespace, Name: o.DataUpload}
	return &movement{
		Options:  o,
		follower: follower{client: o.Client, key: key, clock: o.Clock, log: o.Log},
		claim:    &claim{name: key.String(), attempt: o.Attempt},
		end:      end,
	}
}

// followUntilEnd sends the DataUpload to started once it is InProgress and ends the move when it must not go on.
func (m *movement) followUntilEnd(ctx context.Context, started chan<- *v2alpha1.DataUpload) {
	running := false
	see := func(du *v2alpha1.DataUpload) bool {
		if ending := m.claim.ending(du); ending != nil {
			m.end(ending)
			return false
		}
		if !running && m.claim.begins(du) {
			running = true
			started <- du
		}
		return true
	}
	if err := m.follower.follow(ctx, see); err != nil {
		m.end(&endingError{error: err})
	}
}
