package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
)

// Step is one idempotent part of a pass over S, the scope of a kind; it runs in some phases only. It returns nil if the next step
// may follow, and else Wait, End or an error.
type Step[S Scoped] struct {
	Name   string
	Phases []v2alpha1.Phase
	Run    func(ctx context.Context, s S) error
}

// Scoped is the scope of a kind: a Scope, and what exists for that kind only.
type Scoped interface {
	Shared() *Scope
}

// Shared makes a step of a kind of one that both kinds have.
func Shared[S Scoped](run func(context.Context, *Scope) error) func(context.Context, S) error {
	return func(ctx context.Context, s S) error { return run(ctx, s.Shared()) }
}

// runSteps runs the steps of the phase, and of the next phase when one is reached, each phase being written before
// anything is done in it.
func runSteps[S Scoped](ctx context.Context, e *Engine, s S, steps []Step[S]) error {
	shared := s.Shared()
	for _, step := range steps {
		if !slices.Contains(step.Phases, shared.Phase()) {
			continue
		}
		err := step.Run(ctx, s)
		if ending, ok := errors.AsType[*endError](err); ok && !shared.Phase().IsTerminal() {
			shared.end(ending)
			err = nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", step.Name, err)
		}
		if !shared.phaseChanged() {
			continue
		}
		if err := e.write(ctx, shared); err != nil {
			return err
		}
	}
	return nil
}
