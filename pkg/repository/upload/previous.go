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
	chosen := t.choose(manifests)
	t.fullRead = !slices.ContainsFunc(chosen, func(m *snapshot.Manifest) bool {
		return m.IncompleteReason == "" || m.Tags[tagFullRead] == ""
	})
	return chosen, nil
}

// choose chooses those previous manifests. The repository alone says whether a full read is due, so that nothing needs to
// be remembered elsewhere.
func (t *task) choose(manifests []*snapshot.Manifest) []*snapshot.Manifest {
	switch {
	case t.request.Full || t.request.ParentSnapshot != "":
		return t.asRequested(manifests)
	case t.fullReadIsDue(manifests):
		t.log.Info("all of the volume is read again")
		return slices.DeleteFunc(manifests, func(m *snapshot.Manifest) bool {
			return !t.isOwnCheckpoint(m) || m.Tags[tagFullRead] == ""
		})
	default:
		return sinceLatest(manifests)
	}
}

// fullReadIsDue tells whether no snapshot has read all of the volume for too long. A device is read as a whole each time.
func (t *task) fullReadIsDue(manifests []*snapshot.Manifest) bool {
	since := t.repository.Kopia().Time().Add(-t.request.FullReadEvery)
	return t.request.FullReadEvery > 0 && !t.request.Block && !slices.ContainsFunc(manifests, func(m *snapshot.Manifest) bool {
		return m.IncompleteReason == "" && m.Tags[tagFullRead] != "" && m.StartTime.ToTime().After(since)
	})
}

func (t *task) isOwnCheckpoint(m *snapshot.Manifest) bool {
	return m.IncompleteReason != "" && m.Tags[tagDataUpload] == t.request.DataUploadUID
}

// asRequested are the parent that the request names, if any, and checkpoints of its own.
func (t *task) asRequested(manifests []*snapshot.Manifest) []*snapshot.Manifest {
	parent := slices.IndexFunc(manifests, func(m *snapshot.Manifest) bool {
		return string(m.ID) == t.request.ParentSnapshot && m.IncompleteReason == ""
	})
	if parent < 0 && !t.request.Full {
		t.log.WithField("parentSnapshot", t.request.ParentSnapshot).Warn("the parent snapshot is none of this volume: all of it is read")
	}
	var chosen []*snapshot.Manifest
	for i, m := range manifests {
		if t.isOwnCheckpoint(m) || i == parent && !t.request.Full {
			chosen = append(chosen, m)
		}
	}
	return chosen
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
