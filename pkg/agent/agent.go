// Package agent runs the node agent: every agent takes part in one leader election, and only the leader holds informers
// and reconciles. The others idle.
package agent

import (
	"context"
	"fmt"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	"github.com/sirupsen/logrus"
	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/config/live"
	"github.com/node-agent/node-agent/pkg/config/schema"
)

// Options are the settings of an agent.
type Options struct {
	// RESTConfig reaches the API server.
	RESTConfig *rest.Config
	// Namespace is Velero's.
	Namespace string
	// NodeName is the node that the agent runs on.
	NodeName string
	// ConfigMap is the name of the node-agent ConfigMap in Namespace; empty for defaults.
	ConfigMap string
	// UnknownKeys says what becomes of keys of the ConfigMap that do not exist.
	UnknownKeys schema.UnknownKeys
	// PrepareTimeout limits the time from accepted to prepared.
	PrepareTimeout time.Duration
	// MaxAttempts limits how many backup pods may be lost to one DataUpload before it fails.
	MaxAttempts int
	// VerifyRestores lets restore pods compare what they have written with the repository, byte for byte.
	VerifyRestores bool
	// StrictRestores lets restores fail if the volume refuses an owner, mode, time or symbolic link.
	StrictRestores bool
	// VerifyPercent is the share of what backup pods have written that they read back.
	VerifyPercent int
	// FullReadEvery lets backup pods read all files again if that was not done for so long; never if it is zero.
	FullReadEvery time.Duration
	// ManageRepositories makes the agent initialise repositories, where no Velero server does.
	ManageRepositories bool
	// MetricsAddress and HealthAddress are what the HTTP servers listen on.
	MetricsAddress, HealthAddress string

	Log logrus.FieldLogger
}

// Run runs the agent until ctx ends. It fails at once if the configuration is wrong, before anything in the cluster has
// been touched, and when it loses the lease.
func Run(ctx context.Context, options Options) error {
	scheme, err := newScheme()
	if err != nil {
		return err
	}
	configuration, err := loadConfiguration(ctx, options, scheme)
	if err != nil {
		return err
	}
	election, err := newElection(options)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	standstill, err := newStandstill(ctx, options, election.lock, scheme)
	if err != nil {
		return err
	}
	group.Go(func() error { return serveMetrics(ctx, options) })
	group.Go(func() error { return serveHealth(ctx, options, election.Check, standstill.Check) })
	group.Go(func() error { standstill.run(ctx); return nil })
	group.Go(func() error {
		return election.run(ctx, func(ctx context.Context) error { return reconcile(ctx, options, configuration, scheme, standstill) })
	})
	return group.Wait()
}

func newScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		clientgoscheme.AddToScheme, velerov1.AddToScheme, v2alpha1.AddToScheme, snapshotv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("building the scheme: %w", err)
		}
	}
	return scheme, nil
}

// loadConfiguration reads the ConfigMap. Every agent does so once, and only the leader follows it.
func loadConfiguration(ctx context.Context, options Options, scheme *runtime.Scheme) (*live.Configuration, error) {
	reader, err := client.New(options.RESTConfig, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("connecting to the API server: %w", err)
	}
	configuration := &live.Configuration{
		ConfigMap: client.ObjectKey{Namespace: options.Namespace, Name: options.ConfigMap},
		Decoder:   schema.Decoder{UnknownKeys: options.UnknownKeys},
		Log:       options.Log,
	}
	return configuration, configuration.Load(ctx, reader)
}
