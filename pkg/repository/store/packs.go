package store

import (
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

	// MaxCachedPacks bounds the memory for packs of each kind.
	MaxCachedPacks = 6

	// parallelPacks is how many packs are read at the same time.
	parallelPacks = 2
)

// Packs caches packs in memory from which much is going to be read, where Kopia has no cache: it would read each
// small file and each directory with a request of its own.
type Packs struct {
	blob.Storage

	// metadata has packs of metadata cached as soon as anything of them is read.
	metadata bool

	mutex  sync.Mutex
	cached map[blob.ID][]byte
	order  map[bool][]blob.ID // of packs with metadata, and of others; the oldest first
}

// Prefetch reads packs, unless they are cached. It is no more than a hint: what is not cached is read by itself.
func (p *Packs) Prefetch(ctx context.Context, ids []blob.ID) {
	var group errgroup.Group
	group.SetLimit(parallelPacks)
	for _, id := range ids {
		group.Go(func() error { return p.read(ctx, id) })
	}
	_ = group.Wait() // whoever needs something of a pack meets the error
}

// CacheMetadata has packs of metadata cached as soon as anything of them is read.
func (p *Packs) CacheMetadata() { p.metadata = true }

// CachesMetadata tells whether CacheMetadata was called: then Kopia has no cache of its own.
func (p *Packs) CachesMetadata() bool { return p.metadata }

func (p *Packs) read(ctx context.Context, id blob.ID) error {
	if p.get(id) != nil {
		return nil
	}
	var pack blobBuffer
	pack.Grow(packSize)
	if err := p.Storage.GetBlob(ctx, id, 0, -1, &pack); err != nil {
		return err
	}
	p.put(id, pack.Bytes())
	return nil
}

func (p *Packs) get(id blob.ID) []byte {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.cached[id]
}

func (p *Packs) put(id blob.ID, pack []byte) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.cached == nil {
		p.cached, p.order = map[blob.ID][]byte{}, map[bool][]blob.ID{}
	}
	if _, cached := p.cached[id]; cached {
		return
	}
	p.cached[id] = pack
	kind := isMetadata(id)
	order := append(p.order[kind], id)
	for len(order) > MaxCachedPacks {
		delete(p.cached, order[0])
		order = order[1:]
	}
	p.order[kind] = order
}

// Clear empties the cache.
func (p *Packs) Clear() {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.cached, p.order = nil, nil
}

// GetBlob reads a part of a blob, or all of it.
func (p *Packs) GetBlob(ctx context.Context, id blob.ID, offset, length int64, output blob.OutputBuffer) error {
	if p.metadata && isMetadata(id) {
		if err := p.read(ctx, id); err != nil {
			return err
		}
	}
	pack := p.get(id)
	if pack == nil || length < 0 || offset < 0 || offset+length > int64(len(pack)) {
		return p.Storage.GetBlob(ctx, id, offset, length, output)
	}
	output.Reset()
	if _, err := output.Write(pack[offset : offset+length]); err != nil {
		return fmt.Errorf("read pack %s: %w", id, err)
	}
	return nil
}

func isMetadata(id blob.ID) bool { return strings.HasPrefix(string(id), metadataPack) }
