package upload

import (
	"context"
	"fmt"
	"slices"

	"github.com/kopia/kopia/repo"
	"github.com/kopia/kopia/snapshot"

	"github.com/node-agent/node-agent/pkg/repository"
)

// previousManifests are what the volume is compared with: a complete snapshot and, after it, checkpoints of uploads that were
// interrupted. Kopia takes from them what has not changed.
func (t *task) previousManifests(ctx context.Context, rep repo.Repository) ([]*snapshot.Manifest, error) {
	manifests, err := repository.ListManifests(ctx, rep, t.source)
	if err != nil {
		return nil, fmt.Errorf("list earlier snapshots: %w", err)
	}
	if !t.request.Full && t.request.ParentSnapshot == "" {
		return sinceLatest(manifests), nil
	}
	parent := slices.IndexFunc(manifests, func(m *snapshot.Manifest) bool {
		return string(m.ID) == t.request.ParentSnapshot && m.IncompleteReason == ""
	})
	if parent < 0 && !t.request.Full {
		t.log.WithField("parentSnapshot", t.request.ParentSnapshot).Warn("the parent snapshot is none of this volume: all of it is read")
	}
	var chosen []*snapshot.Manifest
	for i, m := range manifests {
		ownCheckpoint := m.IncompleteReason != "" && m.Tags[tagDataUpload] == t.request.DataUploadUID
		if ownCheckpoint || i == parent && !t.request.Full {
			chosen = append(chosen, m)
		}
	}
	return chosen, nil
}

// sinceLatest are the latest complete snapshot, if there is one, and all checkpoints after it.
func sinceLatest(manifests []*snapshot.Manifest) []*snapshot.Manifest {
	for i, manifest := range slices.Backward(manifests) {
		if manifest.IncompleteReason == "" {
			return manifests[i:]
		}
	}
	return manifests
}
