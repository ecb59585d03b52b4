// Package mover is the process in a backup or restore pod: it waits for its DataUpload or DataDownload to start, moves the
// data between the volume and the backup repository, reports progress and leaves its result in the termination message.
package mover

import (
	"time"

	"github.com/sirupsen/logrus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Options say what to move, and with what. All are required but CacheLimit.
type Options struct {
	// Namespace and Name are those of the DataUpload or DataDownload.
	Namespace, Name string
	// Attempt is the number of the attempt at it, from 1. The mover stops when a later one has begun.
	Attempt int
	// VolumePath is the mount point of the volume, or its device.
	VolumePath string
	// VolumeMode says which of them.
	VolumeMode corev1.PersistentVolumeMode
	// ResourceTimeout limits how long it may take to read the storage location once the move has started.
	ResourceTimeout time.Duration
	// CacheLimit is how large the caches of the repository may become, in MiB. If zero, it is Velero's default.
	CacheLimit int64
	// TerminationMessagePath is the file for the result.
	TerminationMessagePath string
	// WorkDir is an existing directory for credentials and caches. The caller removes it.
	WorkDir string
	// Client reads and watches the object and patches its progress; it also reads the storage location and Secrets.
	Client client.WithWatch
	// Clock paces progress reports, repeated watches and ResourceTimeout.
	Clock clock.WithTickerAndDelayedExecution
	// Log says what happens.
	Log logrus.FieldLogger
}

// block tells whether the volume is a device.
func (o *Options) block() bool { return o.VolumeMode == corev1.PersistentVolumeBlock }
