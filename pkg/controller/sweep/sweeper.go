// Package sweep finds objects that were made for DataUploads and DataDownloads which no clean-up follows any more, and has them removed.
//
// Their finalizer keeps them until all that was made for them is gone. Leftovers come to be when somebody takes the
// finalizer away, as people do with what seems stuck.
package sweep

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/sirupsen/logrus"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/controller/transfer"
	"github.com/node-agent/node-agent/pkg/expose"
	"github.com/node-agent/node-agent/pkg/metrics"
)

// DefaultGrace is how long leftovers are let alone: somebody may still look at them, and nothing waits for their end.
const DefaultGrace = 10 * time.Minute

// interval is the time between rounds. In each of them, one more of the objects of an owner goes.
const interval = 30 * time.Second

// Remover removes leftovers. It returns what must be gone before it can go on, or nothing when all is done.
type Remover interface {
	RemoveLeftovers(ctx context.Context, leftovers transfer.Leftovers) (string, error)
}

// Sweeper removes leftovers, round by round.
type Sweeper struct {
	// Namespace is Velero's.
	Namespace string
	// Grace is how long leftovers are let alone, since the youngest of them was made and its owner ended.
	Grace time.Duration
	// Reader is where leftovers are looked for: a cache costs no API call while there are none.
	Reader client.Reader
	// Live reads from the API server. What it does not confirm is not removed.
	Live client.Reader
	// Removers know what was made for each kind of owner.
	Removers map[string]Remover
	Clock    clock.WithTicker
	Log      logrus.FieldLogger

	// begun is what earlier rounds set out to remove. It is for telling what is gone: nothing is decided by it.
	begun map[types.UID]begun
}

type begun struct {
	object Object
	of     *Orphans
}

// Report is what came of a round.
type Report struct {
	// Removed are the objects that earlier rounds set out to remove and that are gone.
	Removed []Object
	// Left are the leftovers that are to be removed and are still there.
	Left []*Orphans
	// Early are those whose grace time is not over.
	Early []*Orphans
	// Failed tells what could not be removed, and why.
	Failed []error
}

// Start makes a round every so often until ctx ends.
func (s *Sweeper) Start(ctx context.Context) error {
	metrics.BeginSweep(kinds)
	ticker := s.Clock.NewTicker(interval)
	defer ticker.Stop()
	for {
		if _, err := s.Round(ctx); err != nil && ctx.Err() == nil {
			s.Log.WithError(err).Warn("cannot look for leftovers; the next round tries again")
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C():
		}
	}
}

// Look tells what is left over, and touches nothing.
func (s *Sweeper) Look(ctx context.Context) (Report, error) {
	all, err := s.find(ctx, s.Reader, client.HasLabels{expose.OwnerUIDLabel})
	if err != nil {
		return Report{}, err
	}
	report := Report{}
	now := s.Clock.Now()
	for _, orphans := range all {
		if now.Before(orphans.Due) {
			report.Early = append(report.Early, orphans)
		} else {
			report.Left = append(report.Left, orphans)
		}
	}
	return report, nil
}

// Round does the next part of removing what is left over. A failure to remove is in the report; an error means that
// nobody knows what is left over.
func (s *Sweeper) Round(ctx context.Context) (Report, error) {
	report, err := s.Look(ctx)
	if err != nil {
		return report, err
	}
	observe(report)
	report.Removed = s.settle(slices.Concat(report.Left, report.Early))
	for _, orphans := range report.Left {
		log := s.Log.WithFields(logrus.Fields{"owner": orphans.owner, "reason": orphans.Why})
		remaining, err := s.remove(ctx, orphans)
		switch {
		case ctx.Err() != nil:
			return report, ctx.Err()
		case err != nil:
			err = fmt.Errorf("removing leftovers of %s: %w", orphans.owner, err)
			report.Failed = append(report.Failed, err)
			log.WithError(err).Warn("cannot remove a leftover; the next round tries again")
		case remaining != "":
			log.WithField("object", remaining).Debug("removing leftovers: waiting for the object to be gone")
		}
	}
	return report, nil
}

// remove does the next part of removing one owner's leftovers.
func (s *Sweeper) remove(ctx context.Context, orphans *Orphans) (string, error) {
	// What the cache says may be old, and the command or the leader may be at work beside this one.
	confirmed, err := s.find(ctx, s.Live, client.MatchingLabels{expose.OwnerUIDLabel: string(orphans.uid)})
	if err != nil {
		return "", err
	}
	for _, now := range confirmed {
		if now.owner != orphans.owner || s.Clock.Now().Before(now.Due) {
			continue
		}
		s.begin(now)
		return s.Removers[now.kind].RemoveLeftovers(ctx, now.leftovers)
	}
	return "", nil
}

// begin tells of what is going to be removed, once.
func (s *Sweeper) begin(orphans *Orphans) {
	if s.begun == nil {
		s.begun = map[types.UID]begun{}
	}
	for _, object := range orphans.Objects {
		if _, known := s.begun[object.UID]; !known {
			s.begun[object.UID] = begun{object: object, of: orphans}
			s.about(object, orphans).Info("removing a leftover")
		}
	}
}

func (s *Sweeper) about(object Object, orphans *Orphans) logrus.FieldLogger {
	return s.Log.WithFields(logrus.Fields{
		"kind": object.Kind, "object": object.String(), "owner": orphans.owner, "reason": orphans.Why,
	})
}

// settle tells of the objects that are gone since the last round.
func (s *Sweeper) settle(present []*Orphans) []Object {
	here := map[types.UID]bool{}
	for _, orphans := range present {
		for _, object := range orphans.Objects {
			here[object.UID] = true
		}
	}
	var removed []Object
	for uid, b := range s.begun {
		if here[uid] {
			continue
		}
		delete(s.begun, uid)
		removed = append(removed, b.object)
		metrics.ObserveSwept(b.object.Kind)
		s.about(b.object, b.of).Info("a leftover is gone")
	}
	return removed
}

// observe publishes how much is left over, whether its grace time is over or not.
func observe(report Report) {
	count := map[string]int{}
	for _, orphans := range slices.Concat(report.Left, report.Early) {
		for _, object := range orphans.Objects {
			count[object.Kind]++
		}
	}
	for _, kind := range kinds {
		metrics.SetOrphanedObjects(kind, count[kind])
	}
}
