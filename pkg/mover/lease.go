package mover

import (
	"context"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/clock"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/attempts"
)

const (
	// askAfter is how old the last answer of the API server may be before the mover asks. Reports of progress are answered, too,
	// and come more often, so that a mover whose data moves never has to.
	askAfter = 30 * time.Second
	// askAgainAfter is the pause after a question that was not answered within askTimeout.
	askAgainAfter = 5 * time.Second
	askTimeout    = 10 * time.Second

	// stopAfter is how long a mover goes on without an answer. What it is at then has the rest of its lease to come to its end.
	stopAfter = attempts.Lease - 30*time.Second
)

// lease is the right to move data. It lasts from the moment at which a request was sent whose answer has shown that the object
// wants this attempt. What comes by in a watch does not count: nobody knows how long it was under way.
//
// A process that was stopped, and goes on after the lease has ended, sees that before it writes.
type lease struct {
	clock clock.PassiveClock

	mutex sync.Mutex
	// begun is when the move has begun.
	begun time.Time
	// heard is when the question was asked that was answered last.
	heard time.Time
}

func (l *lease) begin() {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.begun = l.clock.Now()
}

// renew lets the lease last from when the question was asked that is answered now. The zero time changes nothing.
func (l *lease) renew(asked time.Time) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if asked.After(l.heard) {
		l.heard = asked
	}
}

// age is how old the last answer is.
func (l *lease) age() time.Duration {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.clock.Since(l.heard)
}

// silence is how long the API server has not answered since the move began.
func (l *lease) silence() time.Duration {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if l.heard.Before(l.begun) {
		return l.clock.Since(l.begun)
	}
	return l.clock.Since(l.heard)
}

// hear takes in what the object is now: asked is when it was asked for, the zero time if nobody has. If the object no longer
// wants the move, hear ends it and returns why; else it renews the lease.
func (m *attempt) hear(now v2alpha1.Transfer, asked time.Time) error {
	if ending := m.assignment.ending(now); ending != nil {
		m.end(ending)
		return ending
	}
	m.lease.renew(asked)
	return nil
}

// mayWrite fails when the lease has ended. It is asked before each write to a volume.
func (m *attempt) mayWrite() error {
	if m.lease.age() >= stopAfter {
		return m.assignment.unheard()
	}
	return nil
}

// takeLease returns when the lease holds: what has let the move begin may have been under way for long. It fails when ctx ends.
func (m *attempt) takeLease(ctx context.Context) error {
	for m.lease.age() >= askAfter && ctx.Err() == nil {
		if !m.ask(ctx) {
			m.pause(ctx, askAgainAfter)
		}
	}
	return ctx.Err()
}

// keepLease asks whenever the last answer is old, until ctx ends.
func (m *attempt) keepLease(ctx context.Context) {
	for ctx.Err() == nil {
		if rest := askAfter - m.lease.age(); rest > 0 {
			m.pause(ctx, rest)
		} else if !m.ask(ctx) {
			m.pause(ctx, askAgainAfter)
		}
	}
}

// limitSilence ends the move when the lease ends.
func (m *attempt) limitSilence(ctx context.Context) {
	for m.lease.silence() < stopAfter {
		if m.pause(ctx, stopAfter-m.lease.silence()); ctx.Err() != nil {
			return
		}
	}
	m.end(m.assignment.unheard())
}

// ask asks whether the object still wants this attempt, and returns whether the answer is that it does.
func (m *attempt) ask(ctx context.Context) bool {
	limited, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	asked := m.Clock.Now()
	now, err := m.follower.get(limited)
	if err == nil {
		return m.hear(now, asked) == nil
	}
	if apierrors.IsUnauthorized(err) {
		m.end(m.assignment.unknown(err))
	} else if ctx.Err() == nil {
		m.Log.WithError(err).WithField("age", m.lease.age()).Warn("The API server does not tell whether to go on, asking again")
	}
	return false
}

// pause returns after some time, or when ctx ends.
func (m *attempt) pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-m.Clock.After(d):
	}
}
