package repository

import (
	"context"
	"fmt"
	"time"

	"github.com/kopia/kopia/repo"
	"github.com/kopia/kopia/repo/manifest"
	"github.com/kopia/kopia/snapshot"

	"github.com/node-agent/node-agent/pkg/repository/failure"
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
	ctx = r.Context(ctx)
	if err := r.kopia.Refresh(ctx); err != nil {
		return nil, fmt.Errorf("list snapshots: %w", failure.Explain(err))
	}
	manifests, err := ListManifests(ctx, r.kopia, SourceOf(sourceNamespace, sourcePVC))
	if err != nil {
		return nil, fmt.Errorf("list snapshots: %w", failure.Explain(err))
	}
	var result []Snapshot
	for _, manifest := range manifests {
		if manifest.IncompleteReason == "" {
			result = append(result, Snapshot{
				ID:         string(manifest.ID),
				StartTime:  manifest.StartTime.ToTime(),
				EndTime:    manifest.EndTime.ToTime(),
				TotalBytes: DataSize(manifest),
			})
		}
	}
	return result, nil
}

// ListManifests lists what data movement has uploaded of a volume, oldest first, incomplete ones included.
func ListManifests(ctx context.Context, rep repo.Repository, source snapshot.SourceInfo) ([]*snapshot.Manifest, error) {
	ids, err := snapshot.ListSnapshotManifests(ctx, rep, &source, MoverTags())
	if err != nil {
		return nil, err
	}
	manifests, err := snapshot.LoadSnapshots(ctx, rep, ids)
	if err != nil {
		return nil, err
	}
	return snapshot.SortByTime(manifests, false), nil
}

// LoadManifest reads one snapshot.
func LoadManifest(ctx context.Context, rep repo.Repository, id string) (*snapshot.Manifest, error) {
	result, err := snapshot.LoadSnapshot(ctx, rep, manifest.ID(id))
	if err != nil {
		return nil, fmt.Errorf("read snapshot %s: %w", id, err)
	}
	if result.RootEntry == nil {
		return nil, fmt.Errorf("read snapshot %s: it has no content", id)
	}
	return result, nil
}

// DataSize is the size of all regular files. The statistics of the uploader also count symbolic links, but only those
// that it found unchanged.
func DataSize(manifest *snapshot.Manifest) int64 {
	if manifest.RootEntry == nil || manifest.RootEntry.DirSummary == nil {
		return manifest.Stats.TotalFileSize
	}
	return manifest.RootEntry.DirSummary.TotalFileSize
}
