package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/bombsimon/logrusr/v4"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/logging"
	"github.com/node-agent/node-agent/test/controlplane"
	"github.com/node-agent/node-agent/test/demo/tree"
	"github.com/node-agent/node-agent/test/installation"
	"github.com/node-agent/node-agent/test/localnode"
)

const nodeName = "demo-node"

// demo holds what the acts of the demo share.
type demo struct {
	program string
	out     *printer
	// dir is kept: it holds the repository, the restored volume, and the logs.
	dir     string
	log     *os.File
	started time.Time

	plane     *controlplane.ControlPlane
	client    client.WithWatch
	node      *localnode.Node
	manifests *installation.Manifests
	agent     *installation.Agent

	// workloads are the PVCs that stay.
	workloads []*corev1.PersistentVolumeClaim
	// restored is the volume that was restored, if one was.
	restored string
}

func newDemo(program string, out io.Writer) (*demo, error) {
	dir, err := os.MkdirTemp("", "node-agent-demo-")
	if err != nil {
		return nil, fmt.Errorf("make directory of the demo: %w", err)
	}
	d := &demo{program: program, out: newPrinter(out), dir: dir, started: time.Now()}
	for _, sub := range []string{d.repositoryDir(), d.logsDir(), d.scratchDir()} {
		if err := os.MkdirAll(sub, 0o750); err != nil {
			return nil, fmt.Errorf("make directory of the demo: %w", err)
		}
	}
	d.log, err = os.Create(filepath.Join(d.logsDir(), "cluster.log"))
	if err != nil {
		return nil, fmt.Errorf("make log: %w", err)
	}
	logger, err := logging.New("info", logging.FormatText, d.log)
	if err != nil {
		return nil, err
	}
	logging.Bridge(logger)
	return d, nil
}

func (d *demo) repositoryDir() string { return filepath.Join(d.dir, "repository") }
func (d *demo) restoredDir() string   { return filepath.Join(d.dir, "restored") }
func (d *demo) logsDir() string       { return filepath.Join(d.dir, "logs") }
func (d *demo) scratchDir() string    { return filepath.Join(d.dir, "scratch") }
func (d *demo) nodeDir() string       { return filepath.Join(d.dir, "node") }

// play is the whole demo.
func (d *demo) play(ctx context.Context) error {
	d.out.title("A cluster of one node, on this machine")
	if err := d.startCluster(ctx); err != nil {
		return err
	}
	source, err := d.createWorkload(ctx)
	if err != nil {
		return err
	}
	d.out.title("1. A snapshot becomes a backup")
	du, err := d.backUp(ctx, source)
	if err != nil {
		return err
	}
	d.out.title("2. The backup becomes a volume")
	if err := d.restore(ctx, source, du); err != nil {
		return err
	}
	d.out.title("3. The first volume again, with a storage class that does not exist")
	if err := d.cancelLate(ctx, source); err != nil {
		return err
	}
	d.out.title("All came out right")
	d.out.facts(
		fact{"repository", filepath.Join(d.repositoryDir(), "kopia", workloadNamespace)},
		fact{"restored", d.restoredDir()},
		fact{"logs", d.logsDir()},
		fact{"took", d.out.seconds(time.Since(d.started))},
		fact{"delete with", "rm -rf " + d.dir},
	)
	return nil
}

// startCluster starts control plane and node, and creates what `velero install` and the cluster's owner would.
func (d *demo) startCluster(ctx context.Context) (err error) {
	d.out.begin("etcd and kube-apiserver")
	if d.plane, err = controlplane.Start(); err != nil {
		return err
	}
	d.out.done()
	scheme, err := controlplane.Scheme()
	if err != nil {
		return err
	}
	if d.client, err = client.NewWithWatch(d.plane.Config, client.Options{Scheme: scheme}); err != nil {
		return fmt.Errorf("make client: %w", err)
	}
	if d.manifests, err = installation.LoadManifests(scheme); err != nil {
		return err
	}
	d.out.begin("local node, storage classes, Velero's objects")
	if err := d.install(ctx); err != nil {
		return err
	}
	logger, err := logging.New("info", logging.FormatText, d.log)
	if err != nil {
		return err
	}
	d.node, err = localnode.Start(context.WithoutCancel(ctx), localnode.Options{
		Config: d.plane.Config,
		Root:   d.nodeDir(),
		Nodes:  []string{nodeName},
		Images: []string{d.manifests.Container.Image},
		Programs: map[string]string{
			"/velero": d.program, "/node-agent": d.program,
		},
		Log: logrusr.New(logger),
	})
	if err != nil {
		return err
	}
	d.out.done()
	return nil
}

// diagnose shows what a person would look at first when the demo has failed.
func (d *demo) diagnose(ctx context.Context) {
	if d.client != nil {
		d.out.title("Warnings in the cluster")
		d.showWarnings(ctx)
	}
	if d.agent != nil {
		d.out.title("End of " + d.agent.Log)
		d.out.lines(d.agent.Tail())
	}
	d.out.title("All logs are in " + d.logsDir())
}

// close stops everything that was started, in the reverse order, and removes what is not worth keeping.
func (d *demo) close() error {
	var errs []error
	if d.agent != nil {
		errs = append(errs, d.agent.Stop())
	}
	if d.node != nil {
		errs = append(errs, d.node.Stop(), d.keepResults())
	}
	if d.plane != nil {
		errs = append(errs, d.plane.Stop())
	}
	return errors.Join(append(errs, os.RemoveAll(d.scratchDir()), d.log.Close())...)
}

// keepResults moves the logs of pods to the others, and the restored volume to where an ordinary user can delete it. It removes
// the other volumes.
func (d *demo) keepResults() error {
	errs := []error{os.Rename(filepath.Join(d.nodeDir(), "logs"), filepath.Join(d.logsDir(), "pods"))}
	if d.restored != "" {
		errs = append(errs, os.Rename(d.node.Storage.VolumePath(d.restored), d.restoredDir()), tree.Unlock(d.restoredDir()))
	}
	return errors.Join(append(errs, d.node.Remove())...)
}
