package mover

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sirupsen/logrus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
)

const (
	// requestTimeout limits a single API call.
	requestTimeout = 30 * time.Second

	// A watch that ended is established again after a delay that grows from the first to the second.
	minWatchDelay = 500 * time.Millisecond
	maxWatchDelay = 30 * time.Second
)

// errWatchEnded says that the API server closed the watch, as it does every now and then.
var errWatchEnded = errors.New("watch ended")

// follower sees one object change: it reads it once and then watches it, without polling.
type follower struct {
	kind   kind
	client client.WithWatch
	key    client.ObjectKey
	clock  clock.Clock
	log    logrus.FieldLogger
}

// see takes in a version of an object, nil if there is none any more. asked is when it was asked for, the zero time if it came by
// in a watch. It returns whether there is more to see.
type see func(now v2alpha1.Transfer, asked time.Time) bool

// follow calls see with every version of the object that comes by, until see returns false or ctx ends; then it returns nil. It
// returns an error only if reading or watching is forbidden from the start, or the API server does not know whose request it is:
// everything else may heal.
func (f *follower) follow(ctx context.Context, see see) error {
	delay := newWatchDelay()
	for allowed := false; ; {
		begin := f.clock.Now()
		established, err := f.followOnce(ctx, see)
		if err == nil {
			return nil
		}
		allowed = allowed || established
		if apierrors.IsUnauthorized(err) || !allowed && apierrors.IsForbidden(err) {
			return err
		}
		if f.clock.Since(begin) > maxWatchDelay {
			delay = newWatchDelay()
		}
		pause := delay.Step()
		if ctx.Err() == nil {
			f.logPause(err, pause)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-f.clock.After(pause):
		}
	}
}

func (f *follower) logPause(err error, pause time.Duration) {
	log := f.log.WithError(err).WithField("delay", pause)
	if errors.Is(err, errWatchEnded) {
		log.Debug("The watch of the " + f.kind.name + " ended and is established again")
		return
	}
	log.Warn("Cannot see the " + f.kind.name + " change, trying again")
}

// followOnce returns whether the watch was established, and nil if see had enough.
func (f *follower) followOnce(ctx context.Context, see see) (bool, error) {
	asked := f.clock.Now()
	now, err := f.get(ctx)
	if err != nil {
		return false, err
	}
	if !see(now, asked) {
		return false, nil
	}
	watcher, err := f.client.Watch(ctx, f.kind.newList(),
		client.InNamespace(f.key.Namespace),
		client.MatchingFields{metav1.ObjectNameField: f.key.Name},
		&client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: now.GetResourceVersion()}})
	if err != nil {
		return false, fmt.Errorf("watch %s %s: %w", f.kind.name, f.key, err)
	}
	defer watcher.Stop()
	for {
		select {
		case <-ctx.Done():
			return true, nil
		case event, open := <-watcher.ResultChan():
			if !open {
				return true, errWatchEnded
			}
			more, err := f.handle(event, see)
			if err != nil || !more {
				return true, err
			}
		}
	}
}

// get reads the object. It returns nil if there is none.
func (f *follower) get(ctx context.Context) (v2alpha1.Transfer, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	obj := f.kind.newTransfer()
	err := f.client.Get(ctx, f.key, obj)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("get %s %s: %w", f.kind.name, f.key, err)
	}
	return obj, nil
}

// handle returns whether to go on.
func (f *follower) handle(event watch.Event, see see) (bool, error) {
	switch event.Type {
	case watch.Deleted:
		return see(nil, time.Time{}), nil
	case watch.Error:
		return true, fmt.Errorf("watch %s %s: %w", f.kind.name, f.key, apierrors.FromObject(event.Object))
	default:
		if now, ok := event.Object.(v2alpha1.Transfer); ok && now.TransferKind() == f.kind.name {
			return see(now, time.Time{}), nil
		}
		return true, fmt.Errorf("watch %s %s: unexpected object of type %T", f.kind.name, f.key, event.Object)
	}
}

func newWatchDelay() *wait.Backoff {
	return &wait.Backoff{Duration: minWatchDelay, Factor: 2, Jitter: 0.5, Steps: 10, Cap: maxWatchDelay}
}
