package transfer

import (
	"context"

	"github.com/node-agent/node-agent/pkg/controller/engine"
	"github.com/node-agent/node-agent/pkg/controller/moverpod"
	"github.com/node-agent/node-agent/pkg/waiting"
)

// AwaitNextAttempt removes the pod of a lost attempt and waits until the next one may start.
func (e Steps) AwaitNextAttempt(ctx context.Context, s *engine.Scope) error {
	if s.LostPod != nil {
		return e.removeLostPod(ctx, s)
	}
	from, reason := e.NextAttempt(s.Object)
	if remaining := from.Sub(s.Now); s.Pod == nil && remaining > 0 {
		return engine.WaitFor(remaining, reason)
	}
	return nil
}

func (e Steps) removeLostPod(ctx context.Context, s *engine.Scope) error {
	if !IsDeleting(s.LostPod) {
		if !e.Logs.Keep(s.LostPod, s.Log) {
			return engine.WaitFor(moverpod.Period, waiting.Reason{})
		}
		if err := e.Delete(ctx, e.Kind.Words.Pod+" of the lost attempt", s.LostPod); err != nil {
			return err
		}
		return engine.Wait(waiting.Reason{})
	}
	after, err := e.forceStuckPod(ctx, s, s.LostPod)
	if err != nil {
		return err
	}
	return engine.WaitFor(after, waiting.Reason{
		Code: BeingDeleted, Expected: true, Message: "waits until the " + e.Kind.Words.Pod + " of the lost attempt is gone",
	})
}
