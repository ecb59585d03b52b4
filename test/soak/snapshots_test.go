package soak

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/attempts"
	"github.com/node-agent/node-agent/test/installation"
)

// unknownSnapshots are those in the repositories that nobody would ever delete: neither does the status of a DataUpload name
// them, nor a ConfigMap for Velero.
func unknownSnapshots(ctx context.Context, from *restorer) ([]string, error) {
	known := map[string]bool{}
	for _, r := range seen.all() {
		switch {
		case r.du == nil:
		case r.gone:
			// Completed, perhaps, and its end came with its last write, which nobody need have seen.
			known[r.du.Annotations[attempts.SnapshotAnnotation]] = true
		case r.phase() == v2alpha1.PhaseCompleted:
			known[r.du.Status.SnapshotID] = true
		}
	}
	left := &corev1.ConfigMapList{}
	err := cluster.List(ctx, left, client.InNamespace(installation.VeleroNamespace),
		client.MatchingLabels{"velero.io/data-upload-snapshot-info": "true"})
	if err != nil {
		return nil, err
	}
	for i := range left.Items {
		known[left.Items[i].Data["snapshotID"]] = true
	}
	var unknown []string
	for _, s := range sources {
		opened, err := from.open(ctx, s.claim.Namespace)
		if err != nil {
			return nil, err
		}
		snapshots, err := opened.Snapshots(ctx, s.claim.Namespace, s.claim.Name)
		if err != nil {
			return nil, err
		}
		for _, snapshot := range snapshots {
			if !known[snapshot.ID] {
				unknown = append(unknown, fmt.Sprintf("snapshot %s of %s/%s in the repository", snapshot.ID, s.claim.Namespace, s.claim.Name))
			}
		}
	}
	return unknown, nil
}
