package agent

import (
	"context"
	"fmt"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/config/live"
	"github.com/node-agent/node-agent/pkg/controller/backuprepository"
	"github.com/node-agent/node-agent/pkg/controller/dataupload"
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
func reconcile(ctx context.Context, options Options, configuration *live.Configuration, scheme *runtime.Scheme) error {
	mgr, err := newManager(options, configuration, scheme)
	if err != nil {
		return err
	}
	recorder := mgr.GetEventRecorder(component)
	if err := configuration.Lead(ctx, mgr.GetAPIReader(), recorder); err != nil {
		return unlessStopped(ctx, err)
	}
	if err := configuration.SetupWithManager(mgr); err != nil {
		return err
	}
	reconciler := &dataupload.Reconciler{
		Options: dataupload.Options{
			Namespace:      options.Namespace,
			NodeName:       options.NodeName,
			Config:         configuration.Config,
			ConfigChanges:  configuration.Changes(),
			PrepareTimeout: options.PrepareTimeout,
			MaxAttempts:    options.MaxAttempts,
		},
		Client: mgr.GetClient(),
		Live:   mgr.GetAPIReader(),
		Events: recorder,
		Clock:  clock.RealClock{},
		Log:    options.Log,
	}
	if err := reconciler.SetupWithManager(ctx, mgr); err != nil {
		return err
	}
	if options.ManageRepositories {
		repositories := &backuprepository.Reconciler{
			Namespace: options.Namespace,
			Client:    mgr.GetClient(),
			Live:      mgr.GetAPIReader(),
			Clock:     clock.RealClock{},
			Log:       options.Log,
		}
		if err := repositories.SetupWithManager(mgr); err != nil {
			return err
		}
	}
	if err := mgr.Add(&sweep.Sweeper{
		Namespace: options.Namespace,
		Grace:     sweep.DefaultGrace,
		Reader:    mgr.GetClient(),
		Live:      mgr.GetAPIReader(),
		Remover:   reconciler,
		Clock:     clock.RealClock{},
		Log:       options.Log,
	}); err != nil {
		return fmt.Errorf("setting up the sweeper: %w", err)
	}
	if err := mgr.Start(ctx); err != nil {
		return fmt.Errorf("running the controllers: %w", err)
	}
	return nil
}

// unlessStopped drops an error of an agent that was told to stop: it comes of that.
func unlessStopped(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return nil
}

// newManager builds the manager, after a look at what the cluster serves.
func newManager(options Options, configuration *live.Configuration, scheme *runtime.Scheme) (ctrl.Manager, error) {
	restConfig := rest.CopyConfig(options.RESTConfig)
	restConfig.QPS, restConfig.Burst = leaderQPS, leaderBurst
	cacheOptions := dataupload.CacheOptions(options.Namespace)
	configuration.LimitCache(&cacheOptions)
	mgr, err := ctrl.NewManager(restConfig, ctrl.Options{
		Scheme: scheme,
		Cache:  cacheOptions,
		// Both are served by the agent, also while it does not lead.
		Metrics:                metricsserver.Options{BindAddress: "0"},
		HealthProbeBindAddress: "0",
	})
	if err != nil {
		return nil, fmt.Errorf("building the manager: %w", err)
	}
	return mgr, checkServed(mgr.GetRESTMapper())
}

const installSnapshotter = "install the CRDs and the controller of the CSI external-snapshotter"

// checkServed fails with a readable message where the cluster lacks a CRD, which informers would only wait for.
func checkServed(mapper meta.RESTMapper) error {
	for kind, hint := range map[schema.GroupVersionKind]string{
		v2alpha1.GroupVersion.WithKind("DataUpload"):                    "install Velero's CRDs (velero install --crds-only)",
		snapshotv1.SchemeGroupVersion.WithKind("VolumeSnapshot"):        installSnapshotter,
		snapshotv1.SchemeGroupVersion.WithKind("VolumeSnapshotContent"): installSnapshotter,
	} {
		if _, err := mapper.RESTMapping(kind.GroupKind(), kind.Version); err != nil {
			return fmt.Errorf("the cluster does not serve %s (%w): %s", kind.Kind, err, hint)
		}
	}
	return nil
}
