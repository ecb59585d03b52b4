package main

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/fields"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
)

// follower watches one DataUpload or DataDownload and tells what happens to it.
type follower struct {
	out     *printer
	started time.Time
	// doing is what it does to its volume.
	doing string
	// onPhase is called once for each phase that is seen.
	onPhase func(v2alpha1.Phase) error

	phase   v2alpha1.Phase
	message string
	done    int64
	bar     *progressBar
}

// follow returns the DataUpload or DataDownload and the time when it reached its last phase, or fails after limit. list is of
// its kind.
func follow[M v2alpha1.Transfer](
	ctx context.Context, d *demo, move M, list client.ObjectList, limit time.Duration, onPhase func(v2alpha1.Phase) error,
) (M, time.Time, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("it took longer than %s", limit))
	defer cancel()
	kind := move.TransferKind()
	f := &follower{out: d.out, started: time.Now(), doing: doing[kind], onPhase: onPhase}
	defer func() { f.bar.end() }()
	watcher, err := d.client.Watch(ctx, list, client.InNamespace(move.GetNamespace()),
		client.MatchingFieldsSelector{Selector: fields.OneTermEqualSelector("metadata.name", move.GetName())})
	if err != nil {
		return move, time.Time{}, fmt.Errorf("watch %s: %w", kind, err)
	}
	defer watcher.Stop()
	for {
		select {
		case <-ctx.Done():
			return move, time.Time{}, fmt.Errorf("wait for %s %s (phase %s: %q): %w",
				kind, move.GetName(), f.phase, f.message, context.Cause(ctx))
		case event, open := <-watcher.ResultChan():
			if !open {
				return move, time.Time{}, fmt.Errorf("watch %s: the API server has closed the watch", kind)
			}
			current, ok := event.Object.(M)
			if !ok {
				return move, time.Time{}, fmt.Errorf("watch %s: got a %T", kind, event.Object)
			}
			if err := f.observe(current.TransferStatus()); err != nil {
				return move, time.Time{}, err
			}
			if current.TransferStatus().Phase.IsTerminal() {
				return current, time.Now(), nil
			}
		}
	}
}

// doing says what is done to a volume.
var doing = map[string]string{v2alpha1.KindDataUpload: "uploading", v2alpha1.KindDataDownload: "restoring"}

func (f *follower) observe(status *v2alpha1.TransferStatus) error {
	f.showProgress(status.Progress)
	if phase := cmp.Or(status.Phase, v2alpha1.PhaseNew); phase != f.phase {
		f.phase = phase
		f.bar.end()
		f.bar = nil
		f.tell(string(phase))
		if err := f.enter(phase); err != nil {
			return err
		}
	}
	f.explain(status.Message)
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
		f.bar = newProgressBar(f.out.out, f.doing)
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

// showProgress tells how far it is: in a bar on a terminal, else on a line.
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
