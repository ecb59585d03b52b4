// Package storage plays the storage system behind a CSI driver with directories: a volume is a directory, or a regular
// file if it is a block volume, and a snapshot is a copy of one. It knows nothing of Kubernetes.
package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Errors that callers tell apart.
var (
	// ErrNotFound means that a volume or snapshot does not exist.
	ErrNotFound = errors.New("not found")
	// ErrInUse means that a volume cannot be deleted, because pods use it.
	ErrInUse = errors.New("still in use")
)

// Storage holds volumes and snapshots below one directory. Operations on different volumes may run at the same time;
// callers do not run two on the same one.
type Storage struct {
	root string

	mu        sync.Mutex
	deletions map[string]int
	users     map[string][]string
}

// Volume describes a volume to be created.
type Volume struct {
	Name string
	// Block makes it a file that plays a device.
	Block bool
	// Bytes is its capacity. Directories do not enforce it.
	Bytes int64
	// Snapshot is the handle of the snapshot to fill it from. Empty leaves the volume empty.
	Snapshot string
}

// Snapshot describes a snapshot.
type Snapshot struct {
	Handle  string    `json:"handle"`
	Bytes   int64     `json:"bytes"`
	Created time.Time `json:"created"`
}

// New makes the directories of a storage system below root, if they are not there yet.
func New(root string) (*Storage, error) {
	s := &Storage{root: root, deletions: map[string]int{}, users: map[string][]string{}}
	for _, dir := range []string{s.volumes(), s.snapshots()} {
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return nil, fmt.Errorf("make storage directory: %w", err)
		}
	}
	return s, nil
}

func (s *Storage) volumes() string   { return filepath.Join(s.root, "volumes") }
func (s *Storage) snapshots() string { return filepath.Join(s.root, "snapshots") }

// VolumePath is the directory of a volume, or the file of a block volume.
func (s *Storage) VolumePath(name string) string {
	return filepath.Join(s.volumes(), name)
}

// CreateVolume makes a volume. One that exists is left as it is.
func (s *Storage) CreateVolume(volume Volume) error {
	path := s.VolumePath(volume.Name)
	if exists(path) {
		return nil
	}
	if volume.Snapshot != "" {
		if !exists(s.snapshotDir(volume.Snapshot)) {
			return fmt.Errorf("snapshot %s: %w", volume.Snapshot, ErrNotFound)
		}
		return copyTree(s.snapshotData(volume.Snapshot), path)
	}
	if !volume.Block {
		return os.Mkdir(path, 0o750)
	}
	device, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(device.Truncate(volume.Bytes), device.Close())
}

// DeleteVolume removes a volume and its data. One that does not exist is no error, one that a pod uses is ErrInUse.
func (s *Storage) DeleteVolume(name string) error {
	if users := s.usersOf(name); len(users) > 0 {
		return fmt.Errorf("volume %s is %w by pods %s", name, ErrInUse, strings.Join(users, ", "))
	}
	return removeTree(s.VolumePath(name))
}

// Publish gives a pod a volume and returns its path.
func (s *Storage) Publish(volume, pod string) (string, error) {
	path := s.VolumePath(volume)
	if !exists(path) {
		return "", fmt.Errorf("volume %s: %w", volume, ErrNotFound)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(s.users[volume], pod) {
		s.users[volume] = append(s.users[volume], pod)
	}
	return path, nil
}

// Unpublish takes all volumes away from a pod.
func (s *Storage) Unpublish(pod string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for volume, users := range s.users {
		s.users[volume] = slices.DeleteFunc(users, func(user string) bool { return user == pod })
	}
}

// Remove removes the storage system with all that is below its root.
func (s *Storage) Remove() error {
	return removeTree(s.root)
}

func (s *Storage) usersOf(volume string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.users[volume])
}

// Volumes are the names of all volumes.
func (s *Storage) Volumes() ([]string, error) {
	return list(s.volumes())
}

// list returns the names in a directory, without what is still being made.
func list(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), partial) {
			names = append(names, entry.Name())
		}
	}
	return names, nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
