// Package store opens the blob stores of the providers, with the credentials of a location.
package store

import (
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
	"github.com/node-agent/node-agent/pkg/location/settings"
)

// Access is the way to the store of one volume namespace in one BackupStorageLocation.
type Access struct {
	// Location is the BackupStorageLocation that holds the repository.
	Location *velerov1.BackupStorageLocation

	// VolumeNamespace is the namespace whose volumes the repository holds.
	VolumeNamespace string

	// CredentialsFile is the path of the file with the location's credentials. If empty, they come from the environment.
	CredentialsFile string

	// CACert is a PEM bundle to verify the store's certificate with. They are trusted beside those of the system.
	CACert []byte
}

// setting is a value of the location's provider configuration, empty if it is not set.
func (a Access) setting(key string) string {
	return strings.TrimSpace(a.Location.Spec.Config[key])
}

// flag is a setting that is true or false, and whether it is set.
func (a Access) flag(key string) (value, set bool, err error) {
	text := a.setting(key)
	if text == "" {
		return false, false, nil
	}
	value, err = strconv.ParseBool(text)
	if err != nil {
		return false, false, fmt.Errorf("config.%s must be \"true\" or \"false\", found %q", key, text)
	}
	return value, true, nil
}

// bucket is the bucket or container. As with Velero, config.bucket counts only if objectStorage is absent.
func (a Access) bucket() (string, error) {
	bucket := a.setting(settings.Bucket)
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
	prefix := a.setting(settings.Prefix)
	if storage := a.Location.Spec.ObjectStorage; storage != nil {
		prefix = storage.Prefix
	}
	return path.Join(strings.Trim(prefix, "/"), "kopia", a.VolumeNamespace) + "/"
}
