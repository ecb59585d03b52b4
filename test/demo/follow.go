package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/fields"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
)

// follower watches one DataUpload and tells what happens to it.
type follower struct {
	out     *printer
	started time.Time
	// onPhase is called once for each phase that is seen.
	onPhase func(v2alpha1.Phase) error

	phase   v2alpha1.Phase
	message string
	done    int64
	bar     *progressBar
}

// follow returns the DataUpload and the time when it reached its last phase, or fails after limit.
func (d *demo) follow(
	ctx context.Context, du *v2alpha1.DataUpload, limit time.Duration, onPhase func(v2alpha1.Phase) error,
) (*v2alpha1.DataUpload, time.Time, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("it took longer than %s", limit))
	defer cancel()
	f := &follower{out: d.out, started: time.Now(), onPhase: onPhase}
	defer func() { f.bar.end() }()
	watcher, err := d.client.Watch(ctx, &v2alpha1.DataUploadList{}, client.InNamespace(du.Namespace),
		client.MatchingFieldsSelector{Selector: fields.OneTermEqualSelector("metadata.name", du.Name)})
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("watch DataUpload: %w", err)
	}
	defer watcher.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil, time.Time{}, fmt.Errorf("wait for DataUpload %s (phase %s: %q): %w",
				du.Name, f.phase, f.message, context.Cause(ctx))
		case event, open := <-watcher.ResultChan():
			if !open {
				return nil, time.Time{}, errors.New("watch DataUpload: the API server has closed the watch")
			}
			current, ok := event.Object.(*v2alpha1.DataUpload)
			if !ok {
				return nil, time.Time{}, fmt.Errorf("watch DataUpload: got a %T", event.Object)
			}
			if err := f.observe(current); err != nil {
				return nil, time.Time{}, err
			}
			if current.Status.Phase.IsTerminal() {
				return current, time.Now(), nil
			}
		}
	}
}

func (f *follower) observe(du *v2alpha1.DataUpload) error {
	f.showProgress(du.Status.Progress)
	if phase := cmp.Or(du.Status.Phase, v2alpha1.PhaseNew); phase != f.phase {
		f.phase = phase
		f.bar.end()
		f.bar = nil
		f.tell(string(phase))
		if err := f.enter(phase); err != nil {
			return err
		}
	}
	f.explain(du.Status.Message)
	return nil
}

// enter does what belongs to a new phase.
func (f *follower) enter(phase v2alpha1.Phase) error {
	if f.onPhase != nil {
		if err := f.onPhase(phase); err != nil {
			return err
		}
	}
	if phase == v2alpha1.PhaseInProgress && f.out.terminal {
		f.bar = newProgressBar(f.out.out)
	}
	return nil
}

func (f *follower) tell(text string) {
	f.out.line("%s  %s", f.out.seconds(time.Since(f.started)), text)
}

// explain prints the message of the status, if it is news, below the phase that it belongs to.
func (f *follower) explain(message string) {
	if message == f.message {
		return
	}
	f.message = message
	if message == "" {
		return
	}
	lines := wrap(message)
	f.tell("  " + lines[0])
	for _, line := range lines[1:] {
		f.out.line("%s", "             "+line)
	}
}

// showProgress tells how far the upload is: in a bar on a terminal, else on a line.
func (f *follower) showProgress(progress v2alpha1.DataMoveOperationProgress) {
	total, done := progress.TotalBytes, progress.BytesDone
	if total == 0 || done == f.done {
		return
	}
	f.done = done
	if f.out.terminal {
		f.bar.set(done, total)
	} else {
		f.tell(fmt.Sprintf("  %3.0f %%  %s of %s", percent(done, total), mib(done), mib(total)))
	}
}
