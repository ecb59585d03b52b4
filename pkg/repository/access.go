// Package repository moves the data of volumes into and out of the Kopia repositories that Velero keeps in a
// BackupStorageLocation. It is the only package that imports Kopia; layout, identity, tags and policies are those of
// Velero, so that a stock Velero server restores and deletes what is uploaded here.
package repository

import (
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/sirupsen/logrus"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
)

// Access is all that is needed to reach the repository of one volume namespace in one BackupStorageLocation.
type Access struct {
	// Location is the BackupStorageLocation that holds the repository.
	Location *velerov1.BackupStorageLocation

	// VolumeNamespace is the namespace whose volumes the repository holds.
	VolumeNamespace string

	// Password is the repository password, without surrounding white space.
	Password string

	// CredentialsFile is the path of the file with the location's credentials. If empty, they come from the environment.
	CredentialsFile string

	// CACert is a PEM bundle to verify the store's certificate with. If empty, the system's roots are used.
	CACert []byte

	// StateDir holds Kopia's configuration file and caches. It is created if missing, for this user only. Two
	// repositories must not share one.
	StateDir string

	// Restore says that nothing is uploaded. Then there is no cache on disk if the repository is not too large for that.
	Restore bool

	// CacheDir is an existing directory, on a volume of its own, for Kopia's caches. Four fifths of what is free there may be
	// used. If empty, they are in StateDir and have up to 5000 MB.
	CacheDir string

	// Log receives what Kopia says. If nil, it is dropped.
	Log logrus.FieldLogger
}

// validate names the first thing that is missing.
func (a Access) validate() error {
	switch {
	case a.Location == nil:
		return errors.New("access to a repository needs a backup storage location")
	case a.VolumeNamespace == "":
		return errors.New("access to a repository needs a volume namespace")
	case a.Password == "":
		return errors.New("access to a repository needs a password")
	case a.StateDir == "":
		return errors.New("access to a repository needs a directory for its state")
	}
	return nil
}

// writable says why nothing may be written into the location.
func (a Access) writable() error {
	if a.Location.Spec.AccessMode == velerov1.BackupStorageLocationReadOnly {
		return fmt.Errorf("write to backup storage location %q: %w", a.Location.Name, ErrLocationReadOnly)
	}
	return nil
}

// setting is a value of the location's provider configuration, empty if it is not set.
func (a Access) setting(key string) string {
	return strings.TrimSpace(a.Location.Spec.Config[key])
}

// bucket is the bucket or container. As with Velero, config.bucket counts only if objectStorage is absent.
func (a Access) bucket() (string, error) {
	bucket := a.setting("bucket")
	if storage := a.Location.Spec.ObjectStorage; storage != nil {
		bucket = storage.Bucket
	}
	if bucket = strings.Trim(bucket, "/"); bucket == "" {
		return "", errors.New("spec.objectStorage.bucket is empty")
	}
	return bucket, nil
}

// prefix is the path of the repository inside the bucket, ending in a slash.
func (a Access) prefix() string {
	prefix := a.setting("prefix")
	if storage := a.Location.Spec.ObjectStorage; storage != nil {
		prefix = storage.Prefix
	}
	return path.Join(strings.Trim(prefix, "/"), "kopia", a.VolumeNamespace) + "/"
}

// log is never nil.
func (a Access) log() logrus.FieldLogger {
	if a.Log != nil {
		return a.Log
	}
	silent := logrus.New()
	silent.SetOutput(io.Discard)
	return silent
}
