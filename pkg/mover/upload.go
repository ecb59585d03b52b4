package mover

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/location"
	"github.com/node-agent/node-agent/pkg/mover/result"
	"github.com/node-agent/node-agent/pkg/repository"
)

const (
	// parallelFilesKey is the setting of Velero's `backup create --parallel-files-upload`.
	parallelFilesKey = "ParallelFilesUpload"

	// The storage location is read maxLocates times, within about 20 seconds.
	minLocateDelay = 500 * time.Millisecond
	maxLocates     = 6

	// closeTimeout is well below the time that a pod has after SIGTERM, so that the termination message gets written.
	closeTimeout = 10 * time.Second

	// discardTimeout leaves time for the rest of what a canceled mover does before its pod is killed.
	discardTimeout = 5 * time.Second
)

// upload moves the data. It ends the move if the repository does not open in time.
func (m *movement) upload(ctx context.Context, du *v2alpha1.DataUpload) (result.Result, error) {
	uploader, err := m.open(ctx, du)
	if err != nil {
		return result.Result{}, err
	}
	defer closeRepository(ctx, uploader, m.Log)

	progress := newReporter(m.Options, du)
	uploaded, err := uploadReporting(ctx, uploader, m.request(du), progress)
	if err != nil {
		m.discardUnwanted(ctx, uploader, du)
		return result.Result{}, fmt.Errorf("upload the volume of PersistentVolumeClaim %s/%s: %w",
			du.Spec.SourceNamespace, du.Spec.SourcePVC, err)
	}
	progress.finish(ctx, uploaded.TotalBytes)
	return result.Result{
		SnapshotID:       uploaded.SnapshotID,
		EmptySnapshot:    uploaded.Empty,
		Source:           result.Source{ByPath: m.VolumePath, VolumeMode: string(m.VolumeMode)},
		TotalBytes:       uploaded.TotalBytes,
		IncrementalBytes: uploaded.IncrementalBytes,
	}, nil
}

// open finds the storage location and opens the repository in it. The repository keeps its context, so that the time
// limit must be lifted rather than run out behind it.
func (m *movement) open(ctx context.Context, du *v2alpha1.DataUpload) (Uploader, error) {
	limit := m.Clock.AfterFunc(m.ResourceTimeout, func() {
		m.end(&endingError{
			error: fmt.Errorf("backup storage location %s and its repository did not open within %s",
				du.Spec.BackupStorageLocation, m.ResourceTimeout),
			retryable: true,
		})
	})
	defer limit.Stop()

	m.Log.WithField("location", du.Spec.BackupStorageLocation).Info("Opening the repository")
	access, err := m.locate(ctx, du)
	if err != nil {
		return nil, err
	}
	if access.Location.Spec.AccessMode == velerov1.BackupStorageLocationReadOnly {
		return nil, fmt.Errorf("backup storage location %s is read-only", du.Spec.BackupStorageLocation)
	}
	uploader, err := m.Open(ctx, access)
	if err != nil {
		return nil, fmt.Errorf("open the repository of namespace %s in backup storage location %s: %w",
			du.Spec.SourceNamespace, du.Spec.BackupStorageLocation, err)
	}
	return uploader, nil
}

// locate reads the storage location and what belongs to it. An API server that does not answer well is asked again for a
// while: a whole attempt is worth more than one of its requests.
func (m *movement) locate(ctx context.Context, du *v2alpha1.DataUpload) (repository.Access, error) {
	delay := wait.Backoff{Duration: minLocateDelay, Factor: 2, Steps: maxLocates, Jitter: 0.5}
	for {
		access, err := location.Resolve(
			ctx, m.Client, m.Namespace, du.Spec.BackupStorageLocation, du.Spec.SourceNamespace, m.WorkDir, m.Log)
		pause := delay.Step()
		if err == nil || !retryable(err) || delay.Steps == 0 {
			return access, err
		}
		m.Log.WithError(err).WithField("delay", pause).Warn("Cannot read the storage location, trying again")
		select {
		case <-ctx.Done():
			return repository.Access{}, err
		case <-m.Clock.After(pause):
		}
	}
}

// discardUnwanted removes what this attempt and earlier ones have uploaded, if the move has ended because nobody wants it.
func (m *movement) discardUnwanted(ctx context.Context, uploader Uploader, du *v2alpha1.DataUpload) {
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

// closeRepository closes also after a signal. Whatever counts is in the repository before.
func closeRepository(ctx context.Context, uploader Uploader, log logrus.FieldLogger) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	if err := uploader.Close(ctx); err != nil {
		log.WithError(err).Warn("Cannot close the repository")
	}
}

// uploadReporting uploads while progress reports, and returns when both have ended.
func uploadReporting(
	ctx context.Context, uploader Uploader, request repository.UploadRequest, progress *reporter,
) (repository.UploadResult, error) {
	reporting, stop := context.WithCancel(ctx)
	var reports sync.WaitGroup
	defer reports.Wait()
	defer stop()
	reports.Go(func() { progress.run(reporting) })

	request.Progress = progress.observe
	request.ProgressInterval = firstInterval
	return uploader.Upload(ctx, request)
}

func (m *movement) request(du *v2alpha1.DataUpload) repository.UploadRequest {
	request := repository.UploadRequest{
		SourceNamespace:  du.Spec.SourceNamespace,
		SourcePVC:        du.Spec.SourcePVC,
		Path:             m.VolumePath,
		Block:            m.VolumeMode == corev1.PersistentVolumeBlock,
		DataUploadUID:    string(du.UID),
		AsyncOperationID: du.Labels[v2alpha1.AsyncOperationIDLabel],
		ParallelFiles:    parallelFiles(du.Spec.DataMoverConfig, m.Log),
		Confirm:          m.confirm,
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
