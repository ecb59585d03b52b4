package transfer

import (
	"context"
	"fmt"

	"github.com/node-agent/node-agent/pkg/controller/engine"
	"github.com/node-agent/node-agent/pkg/waiting"
)

// waitingForPreparation is the code of waiting until prepareQueueLength lets something be accepted.
const waitingForPreparation = "WaitingForPreparation"

// AwaitPreparation holds back what is New while as many as the configuration allows are being prepared. The prepare timeout
// does not run meanwhile.
//
// Documented in Velero under "Node-agent Prepare Queue Length".
func (e Steps) AwaitPreparation(ctx context.Context, s *engine.Scope) error {
	limit := e.Config().LoadConcurrency.PrepareQueueLength
	if limit == 0 {
		return nil
	}
	unstarted, err := e.Unstarted(ctx)
	if err != nil {
		return err
	}
	place := e.Queues.ToPrepare(s.Object, unstarted, limit)
	if place == 0 {
		return nil
	}
	return engine.Wait(waiting.Reason{
		Code: waitingForPreparation, Expected: true,
		Message: fmt.Sprintf("waiting to be prepared: %s in the queue, %d at a time (loadConcurrency.prepareQueueLength)",
			place, limit),
	})
}
