package store

import (
	"context"
	"sync"

	"github.com/kopia/kopia/repo/blob"

	"github.com/node-agent/node-agent/pkg/location/settings"
)

// opener opens the store of a location, and with create makes what the store needs before its first blob.
type opener func(ctx context.Context, access Access, create bool) (blob.Storage, error)

// openers by provider.
var openers = map[string]opener{
	settings.AWS:        openS3,
	settings.Azure:      openAzure,
	settings.GCP:        openGCS,
	settings.Filesystem: openFilesystem,
}

// Open opens the store that the location describes, and with create makes what it needs before its first blob.
func Open(ctx context.Context, access Access, create bool) (*Store, error) {
	provider, err := settings.Provider(access.Location.Spec)
	if err != nil {
		return nil, err
	}
	storage, err := openers[provider](ctx, access, create)
	if err != nil {
		return nil, err
	}
	packs := &Packs{Storage: newBounded(storage)}
	return &Store{Storage: packs, packs: packs}, nil
}

// Store is the store of a location. It remembers a failed write: Kopia reports one as if the file that was being uploaded had
// been unreadable.
type Store struct {
	blob.Storage

	packs  *Packs
	sample sample

	mu      sync.Mutex
	failure error
}

// PutBlob writes a blob.
func (s *Store) PutBlob(ctx context.Context, id blob.ID, data blob.Bytes, opts blob.PutOptions) error {
	err := s.Storage.PutBlob(ctx, id, data, opts)
	if err == nil && s.sample.wants(id) {
		err = s.sample.note(id, data)
	}
	if err != nil && ctx.Err() == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.failure == nil {
			s.failure = err
		}
	}
	return err
}

// Packs are the packs that are cached in memory.
func (s *Store) Packs() *Packs { return s.packs }

// FirstFailure is why the first write failed since ResetFailure was called.
func (s *Store) FirstFailure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failure
}

// ResetFailure lets FirstFailure begin anew.
func (s *Store) ResetFailure() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failure = nil
}
