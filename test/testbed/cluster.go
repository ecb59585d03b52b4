package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

const snapshotModule = "github.com/kubernetes-csi/external-snapshotter/client/v8"

// installSnapshotCRDs installs those of the module that node-agent itself is built with.
func (b *bed) installSnapshotCRDs(ctx context.Context) error {
	folder, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", snapshotModule).Output()
	if err != nil {
		return fmt.Errorf("find module %s: %w", snapshotModule, err)
	}
	return b.kubectl(ctx, "apply", "--server-side", "-k", filepath.Join(strings.TrimSpace(string(folder)), "config", "crd"))
}

func (b *bed) setUpStorage(ctx context.Context) error {
	return b.kubectl(ctx, "apply", "--server-side", "-f", b.path("storage.yaml"))
}

// setUpVelero installs Velero unless it is there, and waits until backups can be made.
func (b *bed) setUpVelero(ctx context.Context) error {
	if err := b.kubectl(ctx, "get", "backupstoragelocation/default", "--namespace=velero"); err != nil {
		if err := b.installVelero(ctx); err != nil {
			return err
		}
	}
	for _, args := range [][]string{
		{"rollout", "status", "deployment/velero", "daemonset/node-agent", "--timeout=2m"},
		{"wait", "--for=jsonpath={.status.phase}=Available", "backupstoragelocation/default", "--timeout=2m"},
	} {
		if err := b.kubectl(ctx, append(args, "--namespace=velero")...); err != nil {
			return err
		}
	}
	return nil
}

// syncOften lets Velero look every other second whether a DataUpload has ended, instead of every ten: tests wait for it.
const syncOften = `[{"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": "--item-operation-sync-frequency=2s"}]`

// installVelero does what Velero's documentation says.
func (b *bed) installVelero(ctx context.Context) error {
	if err := b.kubectl(ctx, "apply", "--server-side", "-f", b.path("velero.yaml")); err != nil {
		return err
	}
	err := command(ctx, "velero", "install", "--kubeconfig", b.path("kubeconfig"), "--image", b.veleroImage(),
		"--provider", "aws", "--plugins", b.pluginImage(), "--bucket", "velero", "--secret-file", b.path("credentials"),
		"--backup-location-config", "region=us-east-1,s3ForcePathStyle=true,s3Url=http://"+apiAddress+":"+s3Port,
		"--use-volume-snapshots=false", "--features=EnableCSI",
		"--use-node-agent", "--node-agent-configmap=node-agent-config", "--kubelet-root-dir", b.path("kubelet"))
	if err != nil {
		return err
	}
	return b.kubectl(ctx, "patch", "deployment/velero", "--namespace=velero", "--type=json", "--patch", syncOften)
}
