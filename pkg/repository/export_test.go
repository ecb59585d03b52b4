package repository

import (
	"github.com/kopia/kopia/repo"
	"github.com/kopia/kopia/repo/manifest"
)

// NewCheckpointWriter lets tests write checkpoints at the moment of their choice. end lets no other begin.
func NewCheckpointWriter(writer repo.RepositoryWriter) (checkpoints repo.RepositoryWriter, end func() (manifest.ID, error)) {
	result := &checkpointWriter{RepositoryWriter: writer, incremental: func() int64 { return 17 }}
	return result, result.end
}
