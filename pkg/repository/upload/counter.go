package upload

import (
	"sync"
	"sync/atomic"

	kopiaupload "github.com/kopia/kopia/snapshot/upload"

	"github.com/node-agent/node-agent/pkg/repository"
	"github.com/node-agent/node-agent/pkg/repository/failure"
)

// counter counts what Kopia's uploader says it does.
type counter struct {
	kopiaupload.NullUploadProgress

	total, hashed, cached atomic.Int64
	read                  atomic.Int64 // of what was hashed, the files that are done

	mu       sync.Mutex
	failures []failure.Entry
	failed   int
}

// Enabled makes Kopia estimate the total.
func (*counter) Enabled() bool { return true }

// EstimatedDataSize takes the total.
func (c *counter) EstimatedDataSize(_, totalBytes int64) { c.total.Store(totalBytes) }

// HashedBytes counts data that was read.
func (c *counter) HashedBytes(bytes int64) { c.hashed.Add(bytes) }

// FinishedHashingFile counts a file that was read.
func (c *counter) FinishedHashingFile(_ string, bytes int64) { c.read.Add(bytes) }

// CachedFile counts data that is unchanged since an earlier snapshot.
func (c *counter) CachedFile(_ string, bytes int64) { c.cached.Add(bytes) }

// Error collects what could not be read.
func (c *counter) Error(path string, err error, ignored bool) {
	if ignored {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed++
	if len(c.failures) < failure.MaxNamed {
		c.failures = append(c.failures, failure.Entry{Path: path, Reason: failure.Reason(err)})
	}
}

// entryError is nil if all was read.
func (c *counter) entryError() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed == 0 {
		return nil
	}
	return &failure.EntryError{Total: c.failed, Failures: c.failures}
}

// progress never shows more done than there is.
func (c *counter) progress() repository.Progress {
	result := repository.Progress{TotalBytes: c.total.Load(), BytesDone: c.hashed.Load() + c.cached.Load()}
	if result.TotalBytes > 0 {
		result.BytesDone = min(result.BytesDone, result.TotalBytes)
	}
	return result
}
