package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"math/rand/v2"
	"strings"
	"sync"

	"github.com/kopia/kopia/repo/blob"
	"golang.org/x/sync/errgroup"
)

// packPrefixes begin the IDs of packs, those of data and those of directories.
const packPrefixes = "pq"

// sample is some of the packs that were written, to be read back.
type sample struct {
	mu      sync.Mutex
	percent int
	packs   []writtenPack
	kinds   string // those of which one was taken since the sample began
}

type writtenPack struct {
	id   blob.ID
	hash [sha256.Size]byte
}

// SampleWrites begins a new sample, of so many percent of the packs that are going to be written, and of the first of each
// kind; of none if percent is 0.
func (s *Store) SampleWrites(percent int) {
	s.sample.mu.Lock()
	defer s.sample.mu.Unlock()
	s.sample.percent, s.sample.packs, s.sample.kinds = percent, nil, ""
}

// wants tells whether a pack is to be read back.
func (s *sample) wants(id blob.ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	kind := string(id[:1])
	switch {
	case s.percent == 0 || !strings.Contains(packPrefixes, kind):
		return false
	case !strings.Contains(s.kinds, kind):
		s.kinds += kind
		return true
	default:
		return rand.IntN(100) < s.percent
	}
}

// note remembers what was written.
func (s *sample) note(id blob.ID, data blob.Bytes) error {
	written := sha256.New()
	if _, err := data.WriteTo(written); err != nil {
		return fmt.Errorf("hash pack %s: %w", id, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.packs = append(s.packs, writtenPack{id: id, hash: [sha256.Size]byte(written.Sum(nil))})
	return nil
}

// take removes what is in the sample.
func (s *sample) take() []writtenPack {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := s.packs
	s.packs = nil
	return taken
}

// ReadBack reads what is in the sample from the store itself, parallel packs at the same time, and compares it with what was
// written. It returns how many packs it has compared. used tells whether a pack is still of use: maintenance may have replaced it.
func (s *Store) ReadBack(ctx context.Context, parallel int, used func(context.Context, blob.ID) (bool, error)) (int, error) {
	taken := s.sample.take()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(parallel, 1))
	for _, pack := range taken {
		group.Go(func() error { return s.compare(ctx, pack, used) })
	}
	return len(taken), group.Wait()
}

func (s *Store) compare(ctx context.Context, pack writtenPack, used func(context.Context, blob.ID) (bool, error)) error {
	found := &hashBuffer{Hash: sha256.New()}
	err := s.GetBlob(ctx, pack.id, 0, -1, found)
	if errors.Is(err, blob.ErrBlobNotFound) {
		needed, err := used(ctx, pack.id)
		if err == nil && needed {
			err = fmt.Errorf("the store has lost pack %s, which it had confirmed", pack.id)
		}
		return err
	}
	if err != nil {
		return fmt.Errorf("read back pack %s: %w", pack.id, err)
	}
	if !bytes.Equal(found.Sum(nil), pack.hash[:]) {
		return fmt.Errorf("the store returns pack %s otherwise than it was written", pack.id)
	}
	return nil
}

// hashBuffer takes the contents of a blob, and keeps their hash.
type hashBuffer struct {
	hash.Hash

	length int
}

// Write adds to the contents.
func (b *hashBuffer) Write(p []byte) (int, error) {
	b.length += len(p)
	return b.Hash.Write(p)
}

// Reset begins anew.
func (b *hashBuffer) Reset() {
	b.length = 0
	b.Hash.Reset()
}

// Length is the number of bytes.
func (b *hashBuffer) Length() int { return b.length }
