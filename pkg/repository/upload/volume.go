package upload

import (
	"context"
	"errors"
	"fmt"
	iofs "io/fs"
	"path/filepath"
	"sync"
	"time"

	"github.com/kopia/kopia/fs"

	"github.com/node-agent/node-agent/pkg/notice"
	"github.com/node-agent/node-agent/pkg/repository/block"
	"github.com/node-agent/node-agent/pkg/repository/volume"
)

// searchTimeout bounds the search for entries that cannot be read, once one has ended the upload.
const searchTimeout = time.Minute

// root is the volume as Kopia sees it. What is open of it is closed by close.
func (t *task) root() (fs.Directory, error) {
	if t.request.Block {
		path, err := filepath.EvalSymlinks(t.request.Path)
		if err != nil {
			return nil, fmt.Errorf("find volume: %w", err)
		}
		root, size, err := block.Root(path)
		t.counter.total.Store(size)
		return root, err
	}
	var err error
	if t.volume, err = volume.Open(t.request.Path); err != nil {
		if errors.Is(err, iofs.ErrPermission) {
			t.counter.Error(".", err, false)
		}
		return nil, err
	}
	return t.volume.Root(), nil
}

func (t *task) close() {
	if t.volume != nil {
		t.volume.Close()
	}
}

// estimate finds out how large the volume is, while it is uploaded and until the returned function is called.
func (t *task) estimate(ctx context.Context) (stop func()) {
	if t.request.Block {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var walking sync.WaitGroup
	walking.Go(func() {
		beside, err := volume.Open(t.request.Path)
		if err != nil {
			return // the upload meets it as well
		}
		defer beside.Close()
		if bytes, err := beside.Bytes(ctx); err == nil {
			t.counter.total.Store(bytes)
		}
	})
	return func() {
		cancel()
		walking.Wait()
	}
}

// findUnreadable looks for what else cannot be read if something could not: the upload has ended at the first.
func (t *task) findUnreadable(ctx context.Context) {
	if t.request.Block || t.counter.entryError() == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, searchTimeout)
	defer cancel()
	again, err := volume.Open(t.request.Path)
	if err != nil {
		t.counter.found(".", err)
		t.counter.searched = true
		return
	}
	defer again.Close()
	t.counter.searched = again.Unreadable(ctx, t.counter.found) == nil
}

// escapedNames tells whether names had to be escaped.
func (t *task) escapedNames() bool { return t.volume != nil && t.volume.EscapedNames() }

// notices are what is to be said about the volume once all of it was read.
func (t *task) notices() []notice.Notice {
	if t.volume == nil {
		return nil
	}
	return t.volume.Notices()
}
