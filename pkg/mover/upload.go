package mover

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/sirupsen/logrus"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/mover/result"
	"github.com/node-agent/node-agent/pkg/repository"
	"github.com/node-agent/node-agent/pkg/repository/failure"
	"github.com/node-agent/node-agent/pkg/repository/upload"
)

const (
	// parallelFilesKey is the setting of Velero's `backup create --parallel-files-upload`.
	parallelFilesKey = "ParallelFilesUpload"

	// discardTimeout leaves time for the rest of what a canceled mover does before its pod is killed.
	discardTimeout = 5 * time.Second
)

// Uploader is an open repository, to upload into.
type Uploader interface {
	Upload(ctx context.Context, request upload.Request) (upload.Result, error)
	// Discard deletes all that attempts at a DataUpload have uploaded.
	Discard(ctx context.Context, sourceNamespace, sourcePVC, dataUploadUID string) error
	Close(ctx context.Context) error
}

// OpenUploader is the one of Kopia repositories.
func OpenUploader(ctx context.Context, access repository.Access) (Uploader, error) {
	opened, err := repository.Open(ctx, access)
	if err != nil {
		return nil, err
	}
	return repositoryUploader{opened}, nil
}

type repositoryUploader struct{ *repository.Repository }

func (u repositoryUploader) Upload(ctx context.Context, request upload.Request) (upload.Result, error) {
	return upload.Run(ctx, u.Repository, request)
}

func (u repositoryUploader) Discard(ctx context.Context, sourceNamespace, sourcePVC, dataUploadUID string) error {
	return upload.Discard(ctx, u.Repository, sourceNamespace, sourcePVC, dataUploadUID)
}

// UploadOptions say what to upload, and with what. All are required.
type UploadOptions struct {
	Options

	// Open opens the repository. The context lives as long as the repository is used.
	Open func(ctx context.Context, access repository.Access) (Uploader, error)

	// VerifyPercent is the share of what was written that is read back from the store. None is if it is zero.
	VerifyPercent int

	// FullReadEvery has all of the volume read again if that was not done for so long. Never if it is zero.
	FullReadEvery time.Duration
}

// Upload uploads the volume of a DataUpload. Its error is an *ExitError, with the text of the termination message.
func Upload(ctx context.Context, o UploadOptions) error {
	return run(ctx, o.Options, &uploadMover{UploadOptions: o})
}

type uploadMover struct{ UploadOptions }

func (*uploadMover) kind() kind { return dataUploads }

func (u *uploadMover) move(ctx context.Context, m *attempt, begun v2alpha1.Transfer) (fmt.Stringer, error) {
	du, ok := begun.(*v2alpha1.DataUpload)
	if !ok {
		return nil, fmt.Errorf("%T is not a DataUpload", begun)
	}
	uploader, err := u.open(ctx, m, du)
	if err != nil {
		return nil, err
	}
	defer closeRepository(ctx, uploader, m.Log)

	progress := newReporter(m, begun)
	var uploaded upload.Result
	err = progress.during(ctx, func() (err error) {
		uploaded, err = uploader.Upload(ctx, u.request(m, du, progress))
		return err
	})
	if err != nil {
		m.discardUnwanted(ctx, uploader, du)
		return nil, fmt.Errorf("upload the volume of PersistentVolumeClaim %s/%s: %w",
			du.Spec.SourceNamespace, du.Spec.SourcePVC, err)
	}
	progress.finish(ctx, uploaded.TotalBytes)
	return result.Result{
		SnapshotID:       uploaded.SnapshotID,
		EmptySnapshot:    uploaded.Empty,
		Source:           result.Volume{ByPath: m.VolumePath, VolumeMode: string(m.VolumeMode)},
		TotalBytes:       uploaded.TotalBytes,
		IncrementalBytes: uploaded.IncrementalBytes,
		Notices:          uploaded.Notices,
	}, nil
}

func (u *uploadMover) open(ctx context.Context, m *attempt, du *v2alpha1.DataUpload) (Uploader, error) {
	where := repositoryKey{location: du.Spec.BackupStorageLocation, volumeNamespace: du.Spec.SourceNamespace}
	return openIn(ctx, m, where, func(ctx context.Context, access repository.Access) (Uploader, error) {
		if access.Location.Spec.AccessMode == velerov1.BackupStorageLocationReadOnly {
			return nil, failure.ErrLocationReadOnly
		}
		return u.Open(ctx, access)
	})
}

// discardUnwanted removes what this attempt and earlier ones have uploaded, if the move has ended because nobody wants it.
func (m *attempt) discardUnwanted(ctx context.Context, uploader Uploader, du *v2alpha1.DataUpload) {
	ending, ok := errors.AsType[*endingError](context.Cause(ctx))
	if !ok || !ending.discard {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), discardTimeout)
	defer cancel()
	if err := uploader.Discard(ctx, du.Spec.SourceNamespace, du.Spec.SourcePVC, string(du.UID)); err != nil {
		m.Log.WithError(err).Warn("Cannot remove what was uploaded; the next upload of the volume will")
	}
}

func (u *uploadMover) request(m *attempt, du *v2alpha1.DataUpload, progress *reporter) upload.Request {
	request := upload.Request{
		SourceNamespace:  du.Spec.SourceNamespace,
		SourcePVC:        du.Spec.SourcePVC,
		Path:             m.VolumePath,
		Block:            m.block(),
		DataUploadUID:    string(du.UID),
		AsyncOperationID: du.Labels[v2alpha1.AsyncOperationIDLabel],
		ParallelFiles:    parallelFiles(du.Spec.DataMoverConfig, m.Log),
		FullReadEvery:    u.FullReadEvery,
		VerifyPercent:    u.VerifyPercent,
		Confirm:          m.confirm,
		Progress:         progress.observe,
		ProgressInterval: firstInterval,
	}
	switch parent := du.Spec.ParentSnapshot; parent {
	case "", v2alpha1.ParentSnapshotAuto:
	case v2alpha1.ParentSnapshotNone:
		request.Full = true
	default:
		request.ParentSnapshot = parent
	}
	return request
}

// parallelFiles returns how many files to read at the same time, 0 for the default. A bad value costs no backup.
func parallelFiles(settings map[string]string, log logrus.FieldLogger) int {
	value, found := settings[parallelFilesKey]
	if !found {
		return 0
	}
	number, err := strconv.Atoi(value)
	if err != nil || number <= 0 {
		log.WithField("value", value).Warnf("spec.dataMoverConfig: %s must be a positive number, the default is used", parallelFilesKey)
		return 0
	}
	return number
}
