package mover

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/mover/result"
	"github.com/node-agent/node-agent/pkg/repository"
	"github.com/node-agent/node-agent/pkg/repository/restore"
)

// Restorer is an open repository, to restore from.
type Restorer interface {
	Restore(ctx context.Context, request restore.Request) (restore.Result, error)
	// Verify compares what was restored with the repository.
	Verify(ctx context.Context, request restore.Request) error
	Close(ctx context.Context) error
}

// OpenRestorer is the one of Kopia repositories.
func OpenRestorer(ctx context.Context, access repository.Access) (Restorer, error) {
	opened, err := repository.Open(ctx, access)
	if err != nil {
		return nil, err
	}
	return repositoryRestorer{opened}, nil
}

type repositoryRestorer struct{ *repository.Repository }

func (r repositoryRestorer) Restore(ctx context.Context, request restore.Request) (restore.Result, error) {
	return restore.Run(ctx, r.Repository, request)
}

func (r repositoryRestorer) Verify(ctx context.Context, request restore.Request) error {
	return restore.Verify(ctx, r.Repository, request)
}

// RestoreOptions say what to restore, and with what.
type RestoreOptions struct {
	Options

	// Open opens the repository. The context lives as long as the repository is used. It is required.
	Open func(ctx context.Context, access repository.Access) (Restorer, error)
	// CacheVolumePath is the mount point of a volume for the cache of the repository. If empty, it is in WorkDir.
	CacheVolumePath string
	// Verify says that what was written is compared with the repository, byte for byte.
	Verify bool
	// Strict says that an owner, mode, time or symbolic link that the volume refuses is an error, not a notice.
	Strict bool
}

// Restore writes the snapshot of a DataDownload into a volume. Its error is an *ExitError, with the text of the
// termination message.
func Restore(ctx context.Context, o RestoreOptions) error {
	return run(ctx, o.Options, &restoreMover{RestoreOptions: o})
}

type restoreMover struct{ RestoreOptions }

func (*restoreMover) kind() kind { return dataDownloads }

func (r *restoreMover) move(ctx context.Context, m *attempt, begun v2alpha1.Transfer) (fmt.Stringer, error) {
	dd, ok := begun.(*v2alpha1.DataDownload)
	if !ok {
		return nil, fmt.Errorf("%T is not a DataDownload", begun)
	}
	progress := newReporter(m, begun)
	request, err := restoreRequest(m, dd, progress)
	if err != nil {
		return nil, err
	}
	request.Strict = r.Strict
	where := repositoryKey{location: dd.Spec.BackupStorageLocation, volumeNamespace: dd.Spec.SourceNamespace}
	restorer, err := openIn(ctx, m, where, func(ctx context.Context, access repository.Access) (Restorer, error) {
		access.Restore = true
		access.CacheDir = r.CacheVolumePath
		return r.Open(ctx, access)
	})
	if err != nil {
		return nil, err
	}
	defer closeRepository(ctx, restorer, m.Log)

	var restored restore.Result
	err = progress.during(ctx, func() (err error) {
		restored, err = restorer.Restore(ctx, request)
		if err == nil && r.Verify {
			err = restorer.Verify(ctx, request)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("restore the volume of PersistentVolumeClaim %s/%s: %w",
			dd.Spec.TargetVolume.Namespace, dd.Spec.TargetVolume.PVC, err)
	}
	progress.finish(ctx, restored.TotalBytes)
	return result.Restored{
		Target:     result.Volume{ByPath: m.VolumePath, VolumeMode: string(m.VolumeMode)},
		TotalBytes: restored.TotalBytes,
		Notices:    restored.Notices,
	}, nil
}

func restoreRequest(m *attempt, dd *v2alpha1.DataDownload, progress *reporter) (restore.Request, error) {
	request := restore.Request{
		SnapshotID:       dd.Spec.SnapshotID,
		Path:             m.VolumePath,
		Block:            m.block(),
		Resume:           m.Attempt > 1,
		MayWrite:         m.mayWrite,
		Progress:         progress.observe,
		ProgressInterval: firstInterval,
	}
	if request.SnapshotID == "" {
		return request, errors.New("spec.snapshotID is empty: the DataUpload that it comes from did not complete")
	}
	// A wrong value is an error, where that of a backup is none: nothing is lost, and it can be put right and tried again.
	// WriteSparseFiles is not looked at: Velero's command line sets it to "false" when nobody said anything.
	var err error
	if value, found := dd.Spec.DataMoverConfig[v2alpha1.ParallelFilesDownloadKey]; found {
		if request.ParallelFiles, err = strconv.Atoi(value); err != nil || request.ParallelFiles <= 0 {
			return request, fmt.Errorf("spec.dataMoverConfig: %s is %q, it must be a number greater than 0",
				v2alpha1.ParallelFilesDownloadKey, value)
		}
	}
	return request, nil
}
