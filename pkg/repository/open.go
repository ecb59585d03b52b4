package repository

import (
	"context"
	"fmt"

	"github.com/kopia/kopia/repo"
	"github.com/sirupsen/logrus"

	"github.com/node-agent/node-agent/pkg/repository/failure"
	"github.com/node-agent/node-agent/pkg/repository/store"
)

// Repository is an open repository. It must be closed. It does one thing at a time: two uploads at once need two.
type Repository struct {
	access     Access
	connection *connection
	kopia      repo.DirectRepository
	log        logrus.FieldLogger
}

// Open connects to the repository. Errors include failure.ErrNotInitialized and failure.ErrWrongPassword.
// They name neither namespace nor location: who opens a repository says which.
func Open(ctx context.Context, access Access) (*Repository, error) {
	result := &Repository{access: access, log: access.log()}
	connection, err := connect(ctx, access, false, func(ctx context.Context, c *connection) (err error) {
		result.kopia, err = c.openKopia(ctx, access)
		return err
	})
	if err != nil {
		return nil, err
	}
	result.connection = connection
	return result, nil
}

// Close releases the connection. Nothing is lost without it: an upload is complete when it has returned.
func (r *Repository) Close(ctx context.Context) error {
	defer r.connection.end()
	if err := r.kopia.Close(r.Context(ctx)); err != nil {
		return fmt.Errorf("close repository: %w", failure.Explain(err))
	}
	return nil
}

// Context makes Kopia log to the repository's logger.
func (r *Repository) Context(ctx context.Context) context.Context {
	return withLog(ctx, r.log)
}

// Access is what the repository was opened with.
func (r *Repository) Access() Access { return r.access }

// Kopia is the repository as Kopia knows it.
func (r *Repository) Kopia() repo.DirectRepository { return r.kopia }

// Store is the store that the repository is in.
func (r *Repository) Store() *store.Store { return r.connection.store }

// Log receives what there is to say of the repository.
func (r *Repository) Log() logrus.FieldLogger { return r.log }
