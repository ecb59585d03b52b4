package agent

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/clustertime"
	"github.com/node-agent/node-agent/pkg/config/live"
	"github.com/node-agent/node-agent/pkg/controller/backuprepository"
	"github.com/node-agent/node-agent/pkg/controller/datadownload"
	"github.com/node-agent/node-agent/pkg/controller/dataupload"
	"github.com/node-agent/node-agent/pkg/controller/engine"
	"github.com/node-agent/node-agent/pkg/controller/moverpod"
	"github.com/node-agent/node-agent/pkg/controller/podvolume"
	"github.com/node-agent/node-agent/pkg/controller/queue"
	"github.com/node-agent/node-agent/pkg/controller/sweep"
)

// Requests per second of the leader, on average and in bursts: it works for the whole cluster.
const (
	leaderQPS   = 50
	leaderBurst = 100
)

// component is the source of Events.
const component = "node-agent"

// reconcile does the leader's work until ctx ends.
func reconcile(
	ctx context.Context, options Options, configuration *live.Configuration, scheme *runtime.Scheme, standstill *standstill,
) error {
	failures, now := &watchErrors{}, clustertime.New(clock.RealClock{})
	mgr, watched, err := newManager(options, configuration, scheme, failures, now)
	if err != nil {
		return err
	}
	if !standstill.awaitServed(ctx, mgr.GetRESTMapper()) {
		return nil // it was stopped
	}
	recorder := mgr.GetEventRecorder(component)
	if err := prepareAccount(ctx, options, scheme, recorder); err != nil {
		return err
	}
	if err := configuration.Lead(ctx, mgr.GetAPIReader(), recorder); err != nil {
		return unlessStopped(ctx, err)
	}
	if err := configuration.SetupWithManager(mgr); err != nil {
		return err
	}
	readLog, err := podLogReader(options.RESTConfig)
	if err != nil {
		return err
	}
	base := engine.Engine{
		Options: options.transfers(configuration),
		Client:  mgr.GetClient(),
		Live:    mgr.GetAPIReader(),
		Events:  recorder,
		Clock:   now,
		Log:     options.Log,
		Queues:  &queue.Queues{},
		Logs:    &moverpod.Logs{Read: readLog},
	}
	removers, err := addReconcilers(ctx, mgr, base, configuration)
	if err != nil {
		return err
	}
	if options.ManageRepositories {
		repositories := &backuprepository.Reconciler{
			Namespace: options.Namespace,
			Client:    mgr.GetClient(),
			Live:      mgr.GetAPIReader(),
			Clock:     now,
			Log:       options.Log,
		}
		if err := repositories.SetupWithManager(mgr); err != nil {
			return err
		}
	}
	if err := addSweeper(mgr, options, removers, now); err != nil {
		return err
	}
	if err := podvolume.SetupWithManager(mgr, podVolumes(options, now)); err != nil {
		return err
	}
	go standstill.awaitInformers(ctx, mgr.GetCache(), failures, watched)
	if err := mgr.Start(ctx); err != nil {
		return fmt.Errorf("running the controllers: %w", err)
	}
	return nil
}

// transfers are the settings of DataUploads and DataDownloads.
func (o Options) transfers(configuration *live.Configuration) engine.Options {
	return engine.Options{
		Namespace:      o.Namespace,
		NodeName:       o.NodeName,
		Identity:       cloudIdentity(),
		Config:         configuration.Config,
		PrepareTimeout: o.PrepareTimeout,
		MaxAttempts:    o.MaxAttempts,
		VerifyRestores: o.VerifyRestores,
		StrictRestores: o.StrictRestores,
		VerifyPercent:  o.VerifyPercent,
		FullReadEvery:  o.FullReadEvery,
	}
}

// addReconcilers sets up the reconcilers of DataUploads and DataDownloads, which wait for each other in the same queues. It
// returns them as those who know what was made for each kind.
func addReconcilers(
	ctx context.Context, mgr ctrl.Manager, base engine.Engine, configuration *live.Configuration,
) (map[string]sweep.Remover, error) {
	if err := engine.AddIndexes(ctx, mgr.GetFieldIndexer()); err != nil {
		return nil, err
	}
	if err := countNodes(ctx, mgr.GetCache()); err != nil {
		return nil, err
	}
	base.ConfigChanges = configuration.Changes()
	uploads := dataupload.New(base)
	if err := uploads.SetupWithManager(ctx, mgr); err != nil {
		return nil, err
	}
	base.ConfigChanges = configuration.Changes()
	downloads := datadownload.New(base)
	if err := downloads.SetupWithManager(mgr); err != nil {
		return nil, err
	}
	return map[string]sweep.Remover{v2alpha1.KindDataUpload: uploads, v2alpha1.KindDataDownload: downloads}, nil
}

// unlessStopped drops an error of an agent that was told to stop: it comes of that.
func unlessStopped(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return nil
}

func addSweeper(mgr ctrl.Manager, options Options, removers map[string]sweep.Remover, now clock.WithTicker) error {
	err := mgr.Add(&sweep.Sweeper{
		Namespace: options.Namespace,
		Grace:     sweep.DefaultGrace,
		Reader:    mgr.GetClient(),
		Live:      mgr.GetAPIReader(),
		Removers:  removers,
		Clock:     now,
		Log:       options.Log,
	})
	if err != nil {
		return fmt.Errorf("setting up the sweeper: %w", err)
	}
	return nil
}

func podVolumes(options Options, now clock.PassiveClock) podvolume.Options {
	return podvolume.Options{Namespace: options.Namespace, NodeName: options.NodeName, Clock: now, Log: options.Log}
}

// newManager builds the manager. watched are the kinds that it holds informers for.
func newManager(
	options Options, configuration *live.Configuration, scheme *runtime.Scheme, failures *watchErrors, now *clustertime.Clock,
) (mgr ctrl.Manager, watched []client.Object, err error) {
	restConfig := rest.CopyConfig(options.RESTConfig)
	restConfig.QPS, restConfig.Burst = leaderQPS, leaderBurst
	restConfig.Wrap(now.Wrap)
	cacheOptions := engine.CacheOptions(options.Namespace)
	configuration.LimitCache(&cacheOptions)
	cacheOptions.DefaultWatchErrorHandler = failures.record
	mgr, err = ctrl.NewManager(restConfig, ctrl.Options{
		Scheme: scheme,
		Cache:  cacheOptions,
		// Both are served by the agent, also while it does not lead.
		Metrics:                metricsserver.Options{BindAddress: "0"},
		HealthProbeBindAddress: "0",
	})
	if err != nil {
		return nil, nil, fmt.Errorf("building the manager: %w", err)
	}
	return mgr, watchedKinds(cacheOptions), nil
}
