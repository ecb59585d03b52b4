// Package localnode plays, against a real kube-apiserver, what a cluster of one node, or a few, would: it provisions directories
// for PersistentVolumeClaims, copies them for VolumeSnapshots, and runs the containers of pods as local processes. It
// needs no root and no container runtime. Its controllers are level-triggered and word their events and conditions as
// the components do whose part they play.
//
// There is no garbage collection: what an owner leaves behind stays, and shows.
package localnode

import (
	"cmp"
	"context"
	"fmt"

	"github.com/go-logr/logr"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/node-agent/node-agent/test/localnode/events"
	"github.com/node-agent/node-agent/test/localnode/pods"
	"github.com/node-agent/node-agent/test/localnode/snapshots"
	"github.com/node-agent/node-agent/test/localnode/storage"
	"github.com/node-agent/node-agent/test/localnode/volumes"
)

// Names that StorageClasses and VolumeSnapshotClasses for the local node need.
const (
	// Driver is the name of the CSI driver and provisioner.
	Driver = volumes.Driver
	// ReadOnlyManyParameter of a StorageClass: with "false", the driver refuses ReadOnlyMany claims.
	ReadOnlyManyParameter = volumes.ReadOnlyManyParameter
)

// Options describe a local node.
type Options struct {
	// Config reaches the API server with all rights.
	Config *rest.Config
	// Root is the directory for volumes, snapshots, pods and logs.
	Root string
	// Nodes are the names of the nodes, at least one. They share one storage.
	Nodes []string
	// Labels of the nodes, besides the usual ones.
	Labels map[string]string
	// Images that can be "pulled".
	Images []string
	// Programs maps paths inside images to programs on this machine.
	Programs map[string]string
	// PodConfig says how pods reach the API server; nil means as Config does. Its credentials are not used.
	PodConfig *rest.Config
	// Log receives what the controllers say. The zero value drops it.
	Log logr.Logger
}

// Node is a running local node.
type Node struct {
	// Storage is what the CSI driver would manage.
	Storage *storage.Storage

	cancel  context.CancelFunc
	stopped chan error
}

// Start runs a local node until Stop, or until ctx is done. It returns when its nodes are registered.
func Start(ctx context.Context, options Options) (*Node, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, snapshotv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("build scheme: %w", err)
		}
	}
	direct, err := client.New(options.Config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("make client: %w", err)
	}
	for _, name := range options.Nodes {
		if err := register(ctx, direct, name, options.Labels); err != nil {
			return nil, err
		}
	}
	disks, err := storage.New(options.Root)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	mgr, err := newManager(ctx, options, scheme, disks)
	if err != nil {
		cancel()
		return nil, err
	}
	node := &Node{Storage: disks, cancel: cancel, stopped: make(chan error, 1)}
	go func() { node.stopped <- mgr.Start(ctx) }()
	return node, nil
}

// Stop ends the node and all its processes.
func (n *Node) Stop() error {
	n.cancel()
	if err := <-n.stopped; err != nil {
		return fmt.Errorf("stop local node: %w", err)
	}
	return nil
}

// Remove removes all volumes, snapshots, pods and logs of a stopped node.
func (n *Node) Remove() error {
	if err := n.Storage.Remove(); err != nil {
		return fmt.Errorf("remove directory of local node: %w", err)
	}
	return nil
}

func newManager(ctx context.Context, options Options, scheme *runtime.Scheme, disks *storage.Storage) (manager.Manager, error) {
	skipNameValidation := true
	mgr, err := manager.New(options.Config, manager.Options{
		Scheme:     scheme,
		Logger:     options.Log,
		Metrics:    server.Options{BindAddress: "0"},
		Controller: config.Controller{SkipNameValidation: &skipNameValidation},
	})
	if err != nil {
		return nil, fmt.Errorf("make manager: %w", err)
	}
	recorders, err := events.New(ctx, options.Config, scheme)
	if err != nil {
		return nil, err
	}
	if err := volumes.Setup(mgr, disks, recorders); err != nil {
		return nil, fmt.Errorf("set up volumes: %w", err)
	}
	if err := snapshots.Setup(mgr, disks, recorders, Driver); err != nil {
		return nil, fmt.Errorf("set up snapshots: %w", err)
	}
	if err := pods.Setup(mgr, disks, recorders, pods.Options{
		Nodes: options.Nodes, Root: options.Root, Driver: Driver,
		Images: options.Images, Programs: options.Programs, Config: cmp.Or(options.PodConfig, options.Config),
	}); err != nil {
		return nil, fmt.Errorf("set up pods: %w", err)
	}
	return mgr, nil
}
