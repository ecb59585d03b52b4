package storage

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

func (s *Storage) snapshotDir(handle string) string { return filepath.Join(s.snapshots(), handle) }
func (s *Storage) snapshotData(handle string) string {
	return filepath.Join(s.snapshotDir(handle), "data")
}
func (s *Storage) snapshotInfo(handle string) string {
	return filepath.Join(s.snapshotDir(handle), "snapshot.json")
}

// CreateSnapshot copies a volume. If there is a snapshot of that handle already, it is returned as it is.
func (s *Storage) CreateSnapshot(handle, volume string, bytes int64) (Snapshot, error) {
	if snapshot, err := s.Snapshot(handle); err == nil {
		return snapshot, nil
	}
	if !exists(s.VolumePath(volume)) {
		return Snapshot{}, fmt.Errorf("volume %s: %w", volume, ErrNotFound)
	}
	if err := os.MkdirAll(s.snapshotDir(handle), 0o750); err != nil {
		return Snapshot{}, err
	}
	if err := copyTree(s.VolumePath(volume), s.snapshotData(handle)); err != nil {
		return Snapshot{}, fmt.Errorf("snapshot volume %s: %w", volume, err)
	}
	snapshot := Snapshot{Handle: handle, Bytes: bytes, Created: time.Now()}
	return snapshot, writeInfo(s.snapshotInfo(handle), snapshot)
}

// Snapshot describes the snapshot of a handle, or fails with ErrNotFound. One that is only half made does not exist.
func (s *Storage) Snapshot(handle string) (Snapshot, error) {
	text, err := os.ReadFile(s.snapshotInfo(handle))
	if errors.Is(err, fs.ErrNotExist) {
		return Snapshot{}, fmt.Errorf("snapshot %s: %w", handle, ErrNotFound)
	}
	if err != nil {
		return Snapshot{}, err
	}
	var snapshot Snapshot
	return snapshot, json.Unmarshal(text, &snapshot)
}

// DeleteSnapshot removes a snapshot and counts that it was asked to. One that does not exist is no error.
func (s *Storage) DeleteSnapshot(handle string) error {
	s.mu.Lock()
	s.deletions[handle]++
	s.mu.Unlock()
	return removeTree(s.snapshotDir(handle))
}

// Deletions tells how often the deletion of a snapshot was asked for. More than once means that two objects claimed to
// own it.
func (s *Storage) Deletions(handle string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.deletions[handle]
}

// Snapshots are the handles of all snapshots.
func (s *Storage) Snapshots() ([]string, error) {
	return list(s.snapshots())
}

func writeInfo(path string, snapshot Snapshot) error {
	text, err := json.Marshal(snapshot)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+partial, text, 0o600); err != nil {
		return err
	}
	return os.Rename(path+partial, path)
}
