// Package mover is the process in a backup pod: it waits for its DataUpload to start, uploads the volume into the backup
// repository, reports progress on the DataUpload and leaves its result in the termination message.
package mover

import (
	"context"
	"time"

	"github.com/sirupsen/logrus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/repository"
)

// Uploader is an open repository.
type Uploader interface {
	Upload(ctx context.Context, request repository.UploadRequest) (repository.UploadResult, error)
	// Discard deletes all that attempts at a DataUpload have uploaded.
	Discard(ctx context.Context, sourceNamespace, sourcePVC, dataUploadUID string) error
	Close(ctx context.Context) error
}

// OpenFunc opens a repository. The context lives as long as the repository is used.
type OpenFunc func(ctx context.Context, access repository.Access) (Uploader, error)

// OpenRepository is the OpenFunc for Kopia repositories.
func OpenRepository(ctx context.Context, access repository.Access) (Uploader, error) {
	return repository.Open(ctx, access)
}

// Options say what to move, and with what. All are required.
type Options struct {
	// Namespace and DataUpload name the DataUpload.
	Namespace, DataUpload string
	// Attempt is the number of the attempt at the DataUpload, from 1. The mover stops when a later one has begun.
	Attempt int
	// VolumePath is the mount point of the volume, or its device.
	VolumePath string
	// VolumeMode says which of them.
	VolumeMode corev1.PersistentVolumeMode
	// ResourceTimeout limits how long it may take to open the repository once the DataUpload has started.
	ResourceTimeout time.Duration
	// TerminationMessagePath is the file for the result.
	TerminationMessagePath string
	// WorkDir is an existing directory for credentials and caches. The caller removes it.
	WorkDir string
	// Client reads and watches the DataUpload and patches its progress; it also reads the storage location and Secrets.
	Client client.WithWatch
	// Open opens the repository.
	Open OpenFunc
	// Clock paces progress reports, repeated watches and ResourceTimeout.
	Clock clock.WithTickerAndDelayedExecution
	// Log says what happens.
	Log logrus.FieldLogger
}
