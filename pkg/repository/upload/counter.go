package upload

import (
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	kopiaupload "github.com/kopia/kopia/snapshot/upload"

	"github.com/node-agent/node-agent/pkg/repository"
	"github.com/node-agent/node-agent/pkg/repository/failure"
	"github.com/node-agent/node-agent/pkg/repository/names"
)

// counter counts what Kopia's uploader says it does.
type counter struct {
	kopiaupload.NullUploadProgress

	total, hashed, cached atomic.Int64
	read                  atomic.Int64 // of what was hashed, the files that are done

	mu       sync.Mutex
	failures []failure.Entry
	failed   int
	met      []string // the paths that the upload has met, without those that a search has found again
	searched bool     // a search for others has come to its end
}

// HashedBytes counts data that was read.
func (c *counter) HashedBytes(bytes int64) { c.hashed.Add(bytes) }

// FinishedHashingFile counts a file that was read.
func (c *counter) FinishedHashingFile(_ string, bytes int64) { c.read.Add(bytes) }

// CachedFile counts data that is unchanged since an earlier snapshot.
func (c *counter) CachedFile(_ string, bytes int64) { c.cached.Add(bytes) }

// Error collects what could not be read. path consists of names as they are stored.
func (c *counter) Error(path string, err error, ignored bool) {
	if ignored {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	path = names.Unescape(path)
	c.met = append(c.met, path)
	c.fail(path, err)
}

// found collects what a search found. path is that in the volume.
func (c *counter) found(path string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.Index(c.met, path); i >= 0 {
		c.met = slices.Delete(c.met, i, i+1)
		return
	}
	c.fail(path, err)
}

func (c *counter) fail(path string, err error) {
	c.failed++
	if len(c.failures) >= failure.MaxNamed {
		return
	}
	if !utf8.ValidString(path) {
		path = strconv.Quote(path)
	}
	c.failures = append(c.failures, failure.Entry{Path: path, Reason: failure.Reason(err)})
}

// entryError is nil if all was read. There may be more than it says if the search was not complete, or did not meet what the
// upload has met: it reads no content.
func (c *counter) entryError() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed == 0 {
		return nil
	}
	return &failure.EntryError{Total: c.failed, AtLeast: !c.searched || len(c.met) > 0, Failures: c.failures}
}

// progress never shows more done than there is.
func (c *counter) progress() repository.Progress {
	result := repository.Progress{TotalBytes: c.total.Load(), BytesDone: c.hashed.Load() + c.cached.Load()}
	if result.TotalBytes > 0 {
		result.BytesDone = min(result.BytesDone, result.TotalBytes)
	}
	return result
}
