package faults

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
	"github.com/node-agent/node-agent/pkg/repository"
	repositoryrestore "github.com/node-agent/node-agent/pkg/repository/restore"
	repositorystore "github.com/node-agent/node-agent/pkg/repository/store"
	repositoryupload "github.com/node-agent/node-agent/pkg/repository/upload"
	"github.com/node-agent/node-agent/test/cluster"
)

// password is that of the repository.
const password = "static-passw0rd"

// maxSnapshots is how many runs share a repository: opening it takes the longer the more there is in it.
const maxSnapshots = 40

// files are what every volume holds.
var files = []string{"ledger", "orders/1"}

// fileSize is the size of each.
const fileSize = 3000

// objectStore is the repository that runs upload to and restore from, and the volumes.
type objectStore struct {
	dir   string
	place *velerov1.BackupStorageLocation
	// opened is open for reading what movers have written.
	opened *repository.Repository
	used   int
	// snapshotID is that of the backup, empty if there is none yet.
	snapshotID string
}

// newObjectStore makes a repository in a directory, and the BackupStorageLocation and Secret that lead to it.
func newObjectStore(ctx context.Context, dir string) *objectStore {
	place := &velerov1.BackupStorageLocation{
		ObjectMeta: metav1.ObjectMeta{Namespace: cluster.Velero, Name: cluster.Location},
		Spec: velerov1.BackupStorageLocationSpec{
			Provider: "velero.io/fs", Config: map[string]string{"fspath": filepath.Join(dir, "bucket")},
		},
	}
	Expect(live.Create(ctx, place)).To(Succeed())
	Expect(live.Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: cluster.Velero, Name: velerov1.RepositoryPasswordSecret},
		StringData: map[string]string{velerov1.RepositoryPasswordKey: password},
	})).To(Succeed())
	s := &objectStore{dir: dir, place: place}
	s.renew(ctx)
	return s
}

// use makes room for the snapshot of a run that begins.
func (s *objectStore) use(ctx context.Context) {
	if s.used++; s.used > maxSnapshots {
		s.close(ctx)
		s.renew(ctx)
	}
}

// renew makes an empty repository.
func (s *objectStore) renew(ctx context.Context) {
	bucket, state := filepath.Join(s.dir, "bucket"), filepath.Join(s.dir, "state")
	Expect(os.RemoveAll(bucket)).To(Succeed())
	Expect(os.RemoveAll(state)).To(Succeed())
	Expect(os.Mkdir(bucket, 0o700)).To(Succeed())
	access := repository.Access{
		Access:   repositorystore.Access{Location: s.place, VolumeNamespace: cluster.Shop},
		Password: password, StateDir: state,
	}
	Expect(repository.Initialize(ctx, access)).To(Succeed())
	var err error
	s.opened, err = repository.Open(ctx, access)
	Expect(err).NotTo(HaveOccurred())
	s.used, s.snapshotID = 0, ""
}

func (s *objectStore) close(ctx context.Context) { Expect(s.opened.Close(ctx)).To(Succeed()) }

// backup is the snapshot of a volume that restores bring back. There is one in each repository, made when it is first needed.
func (s *objectStore) backup(ctx context.Context) (snapshotID, volume string) {
	volume = filepath.Join(s.dir, "backup")
	if s.snapshotID == "" {
		s.fill("backup")
		uploaded, err := repositoryupload.Run(ctx, s.opened, repositoryupload.Request{
			SourceNamespace: cluster.Shop, SourcePVC: "backup", Path: volume, DataUploadUID: "backup",
		})
		Expect(err).NotTo(HaveOccurred())
		s.snapshotID = uploaded.SnapshotID
	}
	return s.snapshotID, volume
}

// fill makes a volume with data that no other has.
func (s *objectStore) fill(name string) string {
	volume := filepath.Join(s.dir, name)
	Expect(os.MkdirAll(filepath.Join(volume, "orders"), 0o700)).To(Succeed())
	for _, file := range files {
		content := make([]byte, fileSize)
		_, err := rand.Read(content)
		Expect(err).NotTo(HaveOccurred())
		Expect(os.WriteFile(filepath.Join(volume, file), content, 0o600)).To(Succeed())
	}
	return volume
}

// restores tells what is wrong with a snapshot of a volume, if anything is.
func (s *objectStore) restores(ctx context.Context, snapshotID, volume string) error {
	target, err := os.MkdirTemp(s.dir, "restored-")
	Expect(err).NotTo(HaveOccurred())
	defer os.RemoveAll(target)
	if _, err := repositoryrestore.Run(ctx, s.opened, repositoryrestore.Request{SnapshotID: snapshotID, Path: target}); err != nil {
		return fmt.Errorf("snapshot %q cannot be restored: %w", snapshotID, err)
	}
	if file := differing(volume, target); file != "" {
		return fmt.Errorf("snapshot %q does not bring back %s", snapshotID, file)
	}
	return nil
}

// differing is the first file of a volume that another volume does not have, or has otherwise; empty if there is none.
func differing(volume, other string) string {
	for _, file := range files {
		want, err := os.ReadFile(filepath.Join(volume, file))
		Expect(err).NotTo(HaveOccurred())
		got, err := os.ReadFile(filepath.Join(other, file))
		if err != nil || !bytes.Equal(want, got) {
			return file
		}
	}
	return ""
}
