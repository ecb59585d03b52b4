package repository

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/kopia/kopia/repo/blob"
	"golang.org/x/sync/errgroup"
)

const (
	// metadataPack begins the IDs of packs with directories and the like.
	metadataPack = "q"

	// packSize is a little more than the size of packs.
	packSize = 21 << 20

	// maxHeldPacks bounds the memory for packs of each kind.
	maxHeldPacks = 6

	// parallelPacks is how many packs are read at the same time.
	parallelPacks = 2
)

// packHolder holds packs in memory from which much is going to be read, where Kopia has no cache: it would read each
// small file and each directory with a request of its own.
type packHolder struct {
	blob.Storage

	// metadata has packs of metadata held as soon as anything of them is read.
	metadata bool

	mutex sync.Mutex
	held  map[blob.ID][]byte
	order map[bool][]blob.ID // of packs with metadata, and of others; the oldest first
}

// hold reads packs, unless they are held. It is no more than a hint: what is not held is read by itself.
func (h *packHolder) hold(ctx context.Context, ids []blob.ID) {
	var group errgroup.Group
	group.SetLimit(parallelPacks)
	for _, id := range ids {
		group.Go(func() error { return h.read(ctx, id) })
	}
	_ = group.Wait() // whoever needs something of a pack meets the error
}

func (h *packHolder) read(ctx context.Context, id blob.ID) error {
	if h.get(id) != nil {
		return nil
	}
	var pack buffer
	pack.Grow(packSize)
	if err := h.Storage.GetBlob(ctx, id, 0, -1, &pack); err != nil {
		return err
	}
	h.put(id, pack.Bytes())
	return nil
}

func (h *packHolder) get(id blob.ID) []byte {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	return h.held[id]
}

func (h *packHolder) put(id blob.ID, pack []byte) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	if h.held == nil {
		h.held, h.order = map[blob.ID][]byte{}, map[bool][]blob.ID{}
	}
	if _, held := h.held[id]; held {
		return
	}
	h.held[id] = pack
	kind := isMetadata(id)
	order := append(h.order[kind], id)
	for len(order) > maxHeldPacks {
		delete(h.held, order[0])
		order = order[1:]
	}
	h.order[kind] = order
}

// release lets go of all packs.
func (h *packHolder) release() {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	h.held, h.order = nil, nil
}

// GetBlob reads a part of a blob, or all of it.
func (h *packHolder) GetBlob(ctx context.Context, id blob.ID, offset, length int64, output blob.OutputBuffer) error {
	if h.metadata && isMetadata(id) {
		if err := h.read(ctx, id); err != nil {
			return err
		}
	}
	pack := h.get(id)
	if pack == nil || length < 0 || offset < 0 || offset+length > int64(len(pack)) {
		return h.Storage.GetBlob(ctx, id, offset, length, output)
	}
	output.Reset()
	if _, err := output.Write(pack[offset : offset+length]); err != nil {
		return fmt.Errorf("read pack %s: %w", id, err)
	}
	return nil
}

func isMetadata(id blob.ID) bool { return strings.HasPrefix(string(id), metadataPack) }

// buffer takes a whole blob.
type buffer struct{ bytes.Buffer }

// Length is how much of it there is.
func (b *buffer) Length() int { return b.Len() }
