package mover

import (
	"context"
	"errors"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/mover/result"
)

// Run moves the data of one DataUpload and writes the termination message. It waits for the DataUpload to be InProgress,
// and ends with an error as soon as the DataUpload is canceled, deleted or terminal, or ctx ends because of a signal.
//
// Data that is safe in the repository is reported as a success even if a cancellation came in last: only so does anybody
// know the snapshot, which otherwise would stay for ever.
//
// The text of the error is that of the termination message, which holds no secrets.
func Run(ctx context.Context, o Options) error {
	moved, err := move(ctx, o)
	message := moved.String()
	if err != nil {
		message = failureMessage(err)
		err = errors.New(message)
	} else {
		o.Log.WithField("result", message).Info("The data is in the repository")
	}
	return errors.Join(err, writeTerminationMessage(o.TerminationMessagePath, message))
}

// move follows the DataUpload and uploads once it is InProgress. Whatever ends the move early ends its context.
func move(signaled context.Context, o Options) (result.Result, error) {
	ctx, end := context.WithCancelCause(signaled)
	var following sync.WaitGroup
	defer following.Wait()
	defer end(nil)

	started := make(chan *v2alpha1.DataUpload, 1)
	following.Go(func() { followUntilEnd(ctx, o, started, end) })

	o.Log.Info("Waiting for the DataUpload to be InProgress")
	var moved result.Result
	var err error
	select {
	case <-ctx.Done():
		err = ctx.Err()
	case du := <-started:
		moved, err = upload(ctx, o, du, end)
	}
	if err == nil {
		return moved, nil
	}
	if ctx.Err() == nil {
		return result.Result{}, err
	}
	if early, ok := errors.AsType[*endingError](context.Cause(ctx)); ok {
		return result.Result{}, early
	}
	return result.Result{}, interruption(o.Namespace + "/" + o.DataUpload)
}

// followUntilEnd sends the DataUpload to started once it is InProgress and calls end when it must not be moved any more.
func followUntilEnd(
	ctx context.Context, o Options, started chan<- *v2alpha1.DataUpload, end context.CancelCauseFunc,
) {
	key := client.ObjectKey{Namespace: o.Namespace, Name: o.DataUpload}
	var uid types.UID
	running := false
	see := func(du *v2alpha1.DataUpload) bool {
		if uid == "" && du != nil {
			uid = du.UID
		}
		if reason := stopReason(key.String(), uid, du); reason != "" {
			end(cancellation(reason))
			return false
		}
		if !running && du.Status.Phase == v2alpha1.DataUploadPhaseInProgress {
			running = true
			started <- du
		}
		return true
	}
	f := follower{client: o.Client, key: key, clock: o.Clock, log: o.Log}
	if err := f.follow(ctx, see); err != nil {
		end(&endingError{err})
	}
}
