// Package location turns a BackupStorageLocation and the Secrets that it names into access to a repository.
package location

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/sirupsen/logrus"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
	"github.com/node-agent/node-agent/pkg/repository"
	"github.com/node-agent/node-agent/pkg/repository/store"
)

// Resolve reads the BackupStorageLocation and the Secrets that it needs from a namespace, which is Velero's. Below dir
// it writes the location's credentials, readable by this user only, and gives the repository a directory for its state.
// Each thing that is missing is an error that names it.
func Resolve(
	ctx context.Context, reader client.Reader, namespace, location, volumeNamespace, dir string, log logrus.FieldLogger,
) (repository.Access, error) {
	found := &velerov1.BackupStorageLocation{}
	if err := get(ctx, reader, namespace, location, "backup storage location", found); err != nil {
		return repository.Access{}, err
	}
	secrets := secretReader{reader: reader, namespace: namespace}
	access := repository.Access{
		Access:   store.Access{Location: found, VolumeNamespace: volumeNamespace},
		StateDir: filepath.Join(dir, location, volumeNamespace, "state"),
		Log:      log,
	}
	if err := resolve(ctx, secrets, found, filepath.Join(dir, location, volumeNamespace), &access); err != nil {
		return repository.Access{}, fmt.Errorf("backup storage location %s/%s: %w", namespace, location, err)
	}
	return access, nil
}

func resolve(
	ctx context.Context, secrets secretReader, location *velerov1.BackupStorageLocation, dir string, access *repository.Access,
) error {
	password, err := secrets.value(ctx, velerov1.RepositoryPasswordSecret, velerov1.RepositoryPasswordKey)
	if err != nil {
		return fmt.Errorf("repository password: %w", err)
	}
	if access.Password = strings.TrimSpace(string(password)); access.Password == "" {
		return fmt.Errorf("repository password: key %q of secret %q is blank",
			velerov1.RepositoryPasswordKey, velerov1.RepositoryPasswordSecret)
	}
	if access.CACert, err = caCert(ctx, secrets, location); err != nil {
		return err
	}
	selector := location.Spec.Credential
	if selector == nil {
		return nil
	}
	content, err := secrets.value(ctx, selector.Name, selector.Key)
	if err != nil {
		return fmt.Errorf("spec.credential: %w", err)
	}
	access.CredentialsFile, err = writePrivate(dir, "credentials", content)
	return err
}

// caCert prefers the reference to the bundle in the location itself, as Velero does.
func caCert(ctx context.Context, secrets secretReader, location *velerov1.BackupStorageLocation) ([]byte, error) {
	storage := location.Spec.ObjectStorage
	if storage == nil {
		return nil, nil
	}
	if storage.CACertRef == nil {
		return storage.CACert, nil
	}
	bundle, err := secrets.value(ctx, storage.CACertRef.Name, storage.CACertRef.Key)
	if err != nil {
		return nil, fmt.Errorf("spec.objectStorage.caCertRef: %w", err)
	}
	return bundle, nil
}

// secretReader reads values of Secrets in one namespace.
type secretReader struct {
	reader    client.Reader
	namespace string
}

func (s secretReader) value(ctx context.Context, name, key string) ([]byte, error) {
	if name == "" || key == "" {
		return nil, errors.New("it must have a name and a key")
	}
	secret := &corev1.Secret{}
	if err := get(ctx, s.reader, s.namespace, name, "secret", secret); err != nil {
		return nil, err
	}
	value, ok := secret.Data[key]
	if !ok {
		return nil, fmt.Errorf("secret %s/%s has no key %q", s.namespace, name, key)
	}
	if len(value) == 0 {
		return nil, fmt.Errorf("key %q of secret %s/%s is empty", key, s.namespace, name)
	}
	return value, nil
}

func get(ctx context.Context, reader client.Reader, namespace, name, kind string, into client.Object) error {
	err := reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, into)
	switch {
	case apierrors.IsNotFound(err):
		return fmt.Errorf("%s %s/%s does not exist: %w", kind, namespace, name, err)
	case err != nil:
		return fmt.Errorf("get %s %s/%s: %w", kind, namespace, name, err)
	}
	return nil
}
