// Package repository opens and makes the Kopia repositories that Velero keeps in a BackupStorageLocation. It and the packages
// below it are the only ones that import Kopia; layout, identity, tags and policies are those of
// Velero, so that a stock Velero server restores and deletes what is uploaded here.
package repository

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/sirupsen/logrus"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
	"github.com/node-agent/node-agent/pkg/repository/failure"
	"github.com/node-agent/node-agent/pkg/repository/store"
)

// Access is all that is needed to open the repository of one volume namespace in one BackupStorageLocation.
type Access struct {
	store.Access

	// Password is the repository password, without surrounding white space.
	Password string

	// StateDir holds Kopia's configuration file and caches. It is created if missing, for this user only. Two
	// repositories must not share one.
	StateDir string

	// Restore says that nothing is uploaded. Then nothing is written into the location, and there is no cache on disk if the
	// repository is not too large for that.
	Restore bool

	// CacheDir is an existing directory, on a volume of its own, for Kopia's caches. Four fifths of what is free there may be
	// used at most. If empty, they are in StateDir.
	CacheDir string

	// CacheLimit is how large Kopia's caches may become, in MiB. If zero, it is velerov1.DefaultCacheLimit.
	CacheLimit int64

	// FullMaintenanceInterval is what Initialize asks the Velero server to leave between two full maintenances. If zero, it is
	// Kopia's default of 24 hours.
	FullMaintenanceInterval time.Duration

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

// String names the repository, and no secret.
func (a Access) String() string {
	location := "?"
	if a.Location != nil {
		location = a.Location.Name
	}
	return fmt.Sprintf("namespace %s in backup storage location %s", a.VolumeNamespace, location)
}

// Writable says why nothing may be written into the location.
func (a Access) Writable() error {
	if a.Location.Spec.AccessMode == velerov1.BackupStorageLocationReadOnly {
		return fmt.Errorf("write to backup storage location %q: %w", a.Location.Name, failure.ErrLocationReadOnly)
	}
	return nil
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
