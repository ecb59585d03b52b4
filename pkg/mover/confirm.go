package mover

import (
	"context"
	"fmt"
	"time"
)

const (
	// confirmTimeout is how long a mover waits, after hours maybe, for an API server that does not answer.
	confirmTimeout = 10 * time.Minute

	// interruptCheckTimeout is short, since the node kills the mover soon after SIGTERM.
	interruptCheckTimeout = 2 * time.Second
)

// confirm makes sure that the DataUpload still wants the snapshot. It asks the API server: a mover that was cut off from it
// does not see that it was given up, and its snapshot would be one too many. Who cannot ask, saves none.
func (m *movement) confirm(ctx context.Context) error {
	begin := m.Clock.Now()
	delay := newWatchDelay()
	for {
		du, err := m.follower.get(ctx)
		if err == nil {
			if ending := m.claim.ending(du); ending != nil {
				m.end(ending)
				return ending
			}
			return nil
		}
		pause := delay.Step()
		if m.Clock.Since(begin)+pause > confirmTimeout {
			return fmt.Errorf("confirm that the snapshot is wanted: %w", err)
		}
		if ctx.Err() == nil {
			m.Log.WithError(err).WithField("delay", pause).Warn("Cannot confirm that the snapshot is wanted, trying again")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-m.Clock.After(pause):
		}
	}
}

// interrupt ends the move because of SIGTERM. The signal may be faster than the news that the DataUpload was canceled, and
// then nothing must be kept for a later attempt.
func (m *movement) interrupt() {
	ctx, cancel := context.WithTimeout(context.Background(), interruptCheckTimeout)
	defer cancel()
	if du, err := m.follower.get(ctx); err == nil {
		if ending := m.claim.ending(du); ending != nil {
			m.end(ending)
			return
		}
	}
	m.end(interruption(m.claim.name))
}
