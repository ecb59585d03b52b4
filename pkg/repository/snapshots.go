package repository

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/kopia/kopia/repo"
	"github.com/kopia/kopia/repo/manifest"
	"github.com/kopia/kopia/snapshot"
)

// Snapshot is one complete snapshot of a volume.
type Snapshot struct {
	// ID is the ID of Kopia's snapshot manifest.
	ID string

	// StartTime and EndTime say when it was taken.
	StartTime, EndTime time.Time

	// TotalBytes is the size of the data when restored.
	TotalBytes int64
}

// Snapshots lists the complete snapshots of a volume, oldest first.
func (r *Repository) Snapshots(ctx context.Context, sourceNamespace, sourcePVC string) ([]Snapshot, error) {
	ctx = r.context(ctx)
	if err := r.kopia.Refresh(ctx); err != nil {
		return nil, fmt.Errorf("list snapshots: %w", explain(err))
	}
	manifests, err := listManifests(ctx, r.kopia, sourceOf(sourceNamespace, sourcePVC))
	if err != nil {
		return nil, fmt.Errorf("list snapshots: %w", explain(err))
	}
	var result []Snapshot
	for _, manifest := range manifests {
		if manifest.IncompleteReason == "" {
			result = append(result, Snapshot{
				ID:         string(manifest.ID),
				StartTime:  manifest.StartTime.ToTime(),
				EndTime:    manifest.EndTime.ToTime(),
				TotalBytes: dataSize(manifest),
			})
		}
	}
	return result, nil
}

// listManifests lists what data movement has uploaded of a volume, oldest first, incomplete ones included.
func listManifests(ctx context.Context, rep repo.Repository, source snapshot.SourceInfo) ([]*snapshot.Manifest, error) {
	ids, err := snapshot.ListSnapshotManifests(ctx, rep, &source, moverTags())
	if err != nil {
		return nil, err
	}
	manifests, err := snapshot.LoadSnapshots(ctx, rep, ids)
	if err != nil {
		return nil, err
	}
	return snapshot.SortByTime(manifests, false), nil
}

// previousManifests are what the volume is compared with: a complete snapshot and, after it, checkpoints of uploads that were
// interrupted. Kopia takes from them what has not changed.
func (t *uploadTask) previousManifests(ctx context.Context, rep repo.Repository) ([]*snapshot.Manifest, error) {
	manifests, err := listManifests(ctx, rep, t.source)
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

// loadManifest reads one snapshot.
func loadManifest(ctx context.Context, rep repo.Repository, id string) (*snapshot.Manifest, error) {
	result, err := snapshot.LoadSnapshot(ctx, rep, manifest.ID(id))
	if err != nil {
		return nil, fmt.Errorf("read snapshot %s: %w", id, err)
	}
	if result.RootEntry == nil {
		return nil, fmt.Errorf("read snapshot %s: it has no content", id)
	}
	return result, nil
}

// dataSize is the size of all regular files. The statistics of the uploader also count symbolic links, but only those
// that it found unchanged.
func dataSize(manifest *snapshot.Manifest) int64 {
	if manifest.RootEntry == nil || manifest.RootEntry.DirSummary == nil {
		return manifest.Stats.TotalFileSize
	}
	return manifest.RootEntry.DirSummary.TotalFileSize
}

// completed makes of an uploader's manifest the snapshot that Velero expects.
func completed(manifest snapshot.Manifest, tags map[string]string) *snapshot.Manifest {
	manifest.Description = snapshotDescription
	manifest.Tags = maps.Clone(tags)
	manifest.Pins = []string{snapshotPin}
	return &manifest
}
