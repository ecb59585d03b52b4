package repository

import (
	"errors"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kopia/kopia/snapshot/upload"
)

// defaultProgressInterval is the one of Velero's data movers.
const defaultProgressInterval = 10 * time.Second

// counter counts what Kopia's uploader says it does.
type counter struct {
	upload.NullUploadProgress

	total, hashed, cached atomic.Int64
	read                  atomic.Int64 // of what was hashed, the files that are done

	mu       sync.Mutex
	failures []EntryFailure
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
	if len(c.failures) < maxNamedEntries {
		c.failures = append(c.failures, EntryFailure{Path: path, Reason: entryReason(err)})
	}
}

// entryReason leaves out the path inside the pod, which means nothing to a user.
func entryReason(err error) string {
	if inner, ok := errors.AsType[*fs.PathError](err); ok {
		err = inner.Err
	}
	return sanitize(err.Error())
}

// entryError is nil if all was read.
func (c *counter) entryError() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed == 0 {
		return nil
	}
	return &EntryError{Total: c.failed, Failures: c.failures}
}

// progress never shows more done than there is.
func (c *counter) progress() Progress {
	result := Progress{TotalBytes: c.total.Load(), BytesDone: c.hashed.Load() + c.cached.Load()}
	if result.TotalBytes > 0 {
		result.BytesDone = min(result.BytesDone, result.TotalBytes)
	}
	return result
}

// reporting tells a caller how far a move is.
type reporting struct {
	// call may be nil.
	call func(Progress)
	// interval is the time between two calls. It defaults to defaultProgressInterval.
	interval time.Duration
	now      func() Progress
}

// start begins to call at every interval, until the returned function is called. The function returns when no more call is
// under way.
func (r reporting) start() (stop func()) {
	if r.call == nil {
		return func() {}
	}
	interval := r.interval
	if interval <= 0 {
		interval = defaultProgressInterval
	}
	done := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				r.call(r.now())
			}
		}
	})
	return func() {
		close(done)
		running.Wait()
	}
}
