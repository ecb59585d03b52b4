package agent

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/utils/clock"

	"github.com/node-agent/node-agent/pkg/metrics"
)

// leaseName is the Lease that the leader holds.
const leaseName = "node-agent"

// Timing of the election: after the leader dies, another agent takes over within leaseDuration + retryPeriod.
const (
	leaseDuration = 15 * time.Second
	renewDeadline = 10 * time.Second
	retryPeriod   = 2 * time.Second
	// healthGrace is how long after a lease ran out the leader may still be called healthy.
	healthGrace = 20 * time.Second
)

var errLeaseLost = errors.New("the lease was lost to another agent, or the API server could not be reached to renew it")

type election struct {
	options Options
	lock    *watchedLock
	watch   *leaderelection.HealthzAdaptor
}

func newElection(options Options) (*election, error) {
	// Own client, so that a busy reconciler cannot hold up the renewal of the lease.
	config := rest.CopyConfig(options.RESTConfig)
	config.Timeout = renewDeadline / 2
	lock, err := resourcelock.NewFromKubeconfig(resourcelock.LeasesResourceLock, options.Namespace, leaseName,
		resourcelock.ResourceLockConfig{Identity: identity()}, config, renewDeadline)
	if err != nil {
		return nil, fmt.Errorf("preparing the lease: %w", err)
	}
	return &election{
		options: options,
		lock:    newWatchedLock(lock, clock.RealClock{}),
		watch:   leaderelection.NewLeaderHealthzAdaptor(healthGrace),
	}, nil
}

// Check fails when the agent believes to lead but has not renewed its lease.
func (e *election) Check(request *http.Request) error {
	return e.watch.Check(request)
}

// run takes part in the election until ctx ends, and leads while the lease is held. It ends with an error when the lease
// is lost: a fresh process is the safe way to stop everything that leading meant.
func (e *election) run(ctx context.Context, lead func(context.Context) error) error {
	electing, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	ended := make(chan error, 1)
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock:            e.lock,
		LeaseDuration:   leaseDuration,
		RenewDeadline:   renewDeadline,
		RetryPeriod:     retryPeriod,
		ReleaseOnCancel: true,
		WatchDog:        e.watch,
		Name:            leaseName,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(held context.Context) {
				held, cancel := context.WithCancel(held)
				defer cancel()
				defer context.AfterFunc(ctx, cancel)()
				e.options.Log.Info("leading: this agent reconciles")
				metrics.SetLeading(true)
				ended <- lead(held)
				// The lease is given back when nothing that it guards runs any more.
				stop()
			},
			OnStoppedLeading: func() { metrics.SetLeading(false) },
		},
	})
	if err != nil {
		return fmt.Errorf("preparing the election: %w", err)
	}
	e.watch.SetLeaderElection(elector)
	defer context.AfterFunc(ctx, func() {
		if !elector.IsLeader() {
			stop()
		}
	})()
	elector.Run(electing)
	select {
	case err := <-ended:
		if err != nil {
			return err
		}
	default:
	}
	if ctx.Err() == nil {
		return errLeaseLost
	}
	return nil
}

// identity names this process; the random part tells a restarted one from its predecessor.
func identity() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return host + "_" + string(uuid.NewUUID())
}
