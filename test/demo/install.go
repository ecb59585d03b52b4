package main

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/test/installation"
)

// Names of the demo's cluster.
const (
	workloadNamespace = "shop"
	// targetNamespace is where the restore puts what was in workloadNamespace.
	targetNamespace = "shop-restored"

	workloadClass = "standard"
	backupClass   = "backup-read-only"

	// The ConfigMaps of the agents.
	goodConfig   = "node-agent-config"
	brokenConfig = "node-agent-config-typo"
)

const goodText = `{
  "backupPVC": {
    "standard": {
      "storageClass": "backup-read-only",
      "readOnly": true,
      "spcNoRelabeling": true
    }
  }
}`

const brokenText = `{
  "backupPVC": {
    "standard": {
      "storageClass": "backup-raed-only",
      "readOnly": true
    }
  }
}`

// install creates what is there before a backup begins.
func (d *demo) install(ctx context.Context) error {
	objects := []client.Object{
		installation.NewNamespace(installation.VeleroNamespace),
		installation.NewNamespace(workloadNamespace), installation.NewNamespace(targetNamespace),
		installation.NewStorageClass(workloadClass), installation.NewStorageClass(backupClass), installation.NewSnapshotClass(),
		installation.NewPasswordSecret(), installation.NewLocation(d.repositoryDir()),
		installation.NewConfigMap(goodConfig, goodText), installation.NewConfigMap(brokenConfig, brokenText),
	}
	for _, object := range append(objects, d.manifests.Objects...) {
		if err := d.client.Create(ctx, object); err != nil {
			return fmt.Errorf("create %T %s: %w", object, object.GetName(), err)
		}
	}
	return nil
}
