package store

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"strings"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/kopia/kopia/repo/blob"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/singleflight"
)

const (
	// metadataPack begins the IDs of packs with directories and the like.
	metadataPack = "q"

	// packSize is a little more than what a pack is filled to.
	packSize = 21 << 20

	// MaxCachedPacks full packs of each kind are cached at the most.
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
	caches map[bool]*packCache // of packs with metadata, and of others
	reads  singleflight.Group
}

// packCache keeps the packs that were used last, as many as fit into its bytes.
type packCache struct {
	packs *simplelru.LRU[blob.ID, []byte]
	bytes int
}

func newPackCache() *packCache {
	c := &packCache{}
	c.packs, _ = simplelru.NewLRU(math.MaxInt, func(_ blob.ID, pack []byte) { c.bytes -= len(pack) }) // fails for sizes below 1 only
	return c
}

func (c *packCache) put(id blob.ID, pack []byte) {
	c.packs.Remove(id)
	for c.bytes+len(pack) > MaxCachedPacks*packSize && c.packs.Len() > 0 {
		c.packs.RemoveOldest()
	}
	c.packs.Add(id, pack)
	c.bytes += len(pack)
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

// read caches a pack. Whoever wants one that is being read waits for that.
func (p *Packs) read(ctx context.Context, id blob.ID) error {
	if p.get(id) != nil {
		return nil
	}
	_, err, _ := p.reads.Do(string(id), func() (any, error) {
		if p.get(id) != nil {
			return nil, nil
		}
		pack, err := p.readWhole(ctx, id)
		if err != nil {
			return nil, err
		}
		p.mutex.Lock()
		defer p.mutex.Unlock()
		if p.caches == nil {
			p.caches = map[bool]*packCache{true: newPackCache(), false: newPackCache()}
		}
		p.caches[isMetadata(id)].put(id, pack)
		return nil, nil
	})
	return err
}

// readWhole asks for the size first: a buffer that grows takes up to three times the memory.
func (p *Packs) readWhole(ctx context.Context, id blob.ID) ([]byte, error) {
	stored, err := p.GetMetadata(ctx, id)
	if err != nil {
		return nil, err
	}
	var pack blobBuffer
	pack.Grow(int(stored.Length) + bytes.MinRead) // else it grows once more to meet the end
	if err := p.Storage.GetBlob(ctx, id, 0, -1, &pack); err != nil {
		return nil, err
	}
	return pack.Bytes(), nil
}

func (p *Packs) get(id blob.ID) []byte {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.caches == nil {
		return nil
	}
	pack, _ := p.caches[isMetadata(id)].packs.Get(id)
	return pack
}

// Clear empties the cache.
func (p *Packs) Clear() {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.caches = nil
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
