package mover

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	corev1 "k8s.io/api/core/v1"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/location"
	"github.com/node-agent/node-agent/pkg/mover/result"
	"github.com/node-agent/node-agent/pkg/repository"
)

const (
	// parallelFilesKey is the setting of Velero's `backup create --parallel-files-upload`.
	parallelFilesKey = "ParallelFilesUpload"

	// closeTimeout is well below the time that a pod has after SIGTERM, so that the termination message gets written.
	closeTimeout = 10 * time.Second
)

// upload moves the data. It calls end if the repository does not open in time.
func upload(
	ctx context.Context, o Options, du *v2alpha1.DataUpload, end context.CancelCauseFunc,
) (result.Result, error) {
	uploader, err := open(ctx, o, du, end)
	if err != nil {
		return result.Result{}, err
	}
	defer closeRepository(ctx, uploader, o.Log)

	progress := newReporter(o, du)
	uploaded, err := uploadReporting(ctx, uploader, request(o, du), progress)
	if err != nil {
		return result.Result{}, fmt.Errorf("upload the volume of PersistentVolumeClaim %s/%s: %w",
			du.Spec.SourceNamespace, du.Spec.SourcePVC, err)
	}
	progress.finish(ctx, uploaded.TotalBytes)
	return result.Result{
		SnapshotID:       uploaded.SnapshotID,
		EmptySnapshot:    uploaded.Empty,
		Source:           result.Source{ByPath: o.VolumePath, VolumeMode: string(o.VolumeMode)},
		TotalBytes:       uploaded.TotalBytes,
		IncrementalBytes: uploaded.IncrementalBytes,
	}, nil
}

// open finds the storage location and opens the repository in it. The repository keeps its context, so that the time
// limit must be lifted rather than run out behind it.
func open(
	ctx context.Context, o Options, du *v2alpha1.DataUpload, end context.CancelCauseFunc,
) (Uploader, error) {
	limit := o.Clock.AfterFunc(o.ResourceTimeout, func() {
		end(&endingError{fmt.Errorf("backup storage location %s and its repository did not open within %s",
			du.Spec.BackupStorageLocation, o.ResourceTimeout)})
	})
	defer limit.Stop()

	o.Log.WithField("location", du.Spec.BackupStorageLocation).Info("Opening the repository")
	access, err := location.Resolve(
		ctx, o.Client, o.Namespace, du.Spec.BackupStorageLocation, du.Spec.SourceNamespace, o.WorkDir, o.Log)
	if err != nil {
		return nil, err
	}
	if access.Location.Spec.AccessMode == velerov1.BackupStorageLocationReadOnly {
		return nil, fmt.Errorf("backup storage location %s is read-only", du.Spec.BackupStorageLocation)
	}
	uploader, err := o.Open(ctx, access)
	if err != nil {
		return nil, fmt.Errorf("open the repository of namespace %s in backup storage location %s: %w",
			du.Spec.SourceNamespace, du.Spec.BackupStorageLocation, err)
	}
	return uploader, nil
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

func request(o Options, du *v2alpha1.DataUpload) repository.UploadRequest {
	return repository.UploadRequest{
		SourceNamespace:  du.Spec.SourceNamespace,
		SourcePVC:        du.Spec.SourcePVC,
		Path:             o.VolumePath,
		Block:            o.VolumeMode == corev1.PersistentVolumeBlock,
		AsyncOperationID: du.Labels[v2alpha1.AsyncOperationIDLabel],
		ParallelFiles:    parallelFiles(du.Spec.DataMoverConfig, o.Log),
	}
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
