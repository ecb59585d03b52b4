package repository

import (
	"runtime"
	"sync"
	"time"
)

// defaultProgressInterval is the one of Velero's data movers.
const defaultProgressInterval = 10 * time.Second

// maxParallelFiles bounds the default: each file that is read holds buffers of some 20 MiB.
const maxParallelFiles = 16

// Progress is how far an upload or a restore has come.
type Progress struct {
	// TotalBytes is the size of the volume's data, 0 while it is not known.
	TotalBytes int64

	// BytesDone counts what was moved, or found unchanged.
	BytesDone int64
}

// ProgressReports tell a caller how far an upload or a restore has come.
type ProgressReports struct {
	// Call may be nil.
	Call func(Progress)

	// Interval is the time between two calls. It defaults to 10 seconds.
	Interval time.Duration

	// Now is how far it has come.
	Now func() Progress
}

// Start begins to call at every interval, until the returned function is called. The function returns when no more call is
// under way.
func (r ProgressReports) Start() (stop func()) {
	if r.Call == nil {
		return func() {}
	}
	interval := r.Interval
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
				r.Call(r.Now())
			}
		}
	})
	return func() {
		close(done)
		running.Wait()
	}
}

// ParallelFiles is how many files are moved at the same time, if so many are wanted; 0 stands for the default, which follows
// GOMAXPROCS: that knows the CPU limit of the container, and not the CPUs of the node.
func ParallelFiles(wanted int) int {
	if wanted > 0 {
		return wanted
	}
	return min(runtime.GOMAXPROCS(0), maxParallelFiles)
}
