package mover

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/repository"
)

// The time between two progress reports grows from the first to the last: who looks at a small volume sees something, and
// a large one costs the API server no more than with Velero.
const (
	firstInterval = time.Second
	lastInterval  = 10 * time.Second
)

// reporter writes progress into the status of the object. It does so beside the move, which never waits for it.
type reporter struct {
	client client.Client
	kind   kind
	object client.Object
	clock  clock.Clock
	log    logrus.FieldLogger
	// hear takes in what the object is by the answer to a report, and when that was sent.
	hear func(now v2alpha1.Transfer, asked time.Time) error

	changed  chan struct{}
	mutex    sync.Mutex
	latest   repository.Progress
	reported repository.Progress
}

func newReporter(m *attempt, begun v2alpha1.Transfer) *reporter {
	progress := begun.TransferStatus().Progress
	before := repository.Progress{TotalBytes: progress.TotalBytes, BytesDone: progress.BytesDone}
	return &reporter{
		client: m.Client, kind: m.assignment.kind, object: begun, clock: m.Clock, log: m.Log, hear: m.hear,
		changed: make(chan struct{}, 1),
		latest:  before, reported: before,
	}
}

// during reports what move observes, and returns when both have ended.
func (r *reporter) during(ctx context.Context, move func() error) error {
	reporting, stop := context.WithCancel(ctx)
	var reports sync.WaitGroup
	defer reports.Wait()
	defer stop()
	reports.Go(func() { r.run(reporting) })
	return move()
}

// observe takes note of how far the move has come. It returns at once.
func (r *reporter) observe(progress repository.Progress) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.latest = progress
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// run reports what is observed, until ctx ends.
func (r *reporter) run(ctx context.Context) {
	interval := firstInterval
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.changed:
		}
		if !r.report(ctx) {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-r.clock.After(interval):
		}
		interval = min(2*interval, lastInterval)
	}
}

// finish reports that all is done, unless ctx has ended: a canceled object is left alone. It must not be called while
// run is running.
func (r *reporter) finish(ctx context.Context, totalBytes int64) {
	r.observe(repository.Progress{TotalBytes: totalBytes, BytesDone: totalBytes})
	r.report(ctx)
}

// report writes the latest progress if it differs from what was written last, and returns whether it tried. A failure
// is no more than a warning: the data matters, and the next report carries the same news.
func (r *reporter) report(ctx context.Context) bool {
	r.mutex.Lock()
	latest, reported := r.latest, r.reported
	r.mutex.Unlock()
	if latest == reported {
		return false
	}
	log := r.log.WithFields(logrus.Fields{"totalBytes": latest.TotalBytes, "bytesDone": latest.BytesDone})
	if err := r.patch(ctx, latest); err != nil {
		if ctx.Err() == nil {
			log.WithError(err).Warn("Cannot report progress")
		}
		return true
	}
	log.Info("Progress")
	r.mutex.Lock()
	r.reported = latest
	r.mutex.Unlock()
	return true
}

func (r *reporter) patch(ctx context.Context, progress repository.Progress) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	// The UID keeps the patch off another object of the same name.
	body, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": r.object.GetUID()},
		"status": map[string]any{
			"progress": map[string]int64{"totalBytes": progress.TotalBytes, "bytesDone": progress.BytesDone},
		},
	})
	if err != nil {
		return fmt.Errorf("marshal progress: %w", err)
	}
	target := r.kind.newTransfer()
	target.SetNamespace(r.object.GetNamespace())
	target.SetName(r.object.GetName())
	asked := r.clock.Now()
	if err := r.client.Patch(ctx, target, client.RawPatch(types.MergePatchType, body)); err != nil {
		return fmt.Errorf("patch progress of %s %s: %w", r.kind.name, client.ObjectKeyFromObject(r.object), err)
	}
	return r.hear(target, asked)
}
