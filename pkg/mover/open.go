package mover

import (
	"context"
	"fmt"
	"time"

	"github.com/sirupsen/logrus"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/node-agent/node-agent/pkg/location"
	"github.com/node-agent/node-agent/pkg/repository"
)

const (
	// The storage location is read maxLocates times, within about 20 seconds.
	minLocateDelay = 500 * time.Millisecond
	maxLocates     = 6

	// closeTimeout is well below the time that a pod has after SIGTERM, so that the termination message gets written.
	closeTimeout = 10 * time.Second
)

// repositoryKey is where a repository is.
type repositoryKey struct {
	// location is the name of the backup storage location.
	location string
	// volumeNamespace is the namespace whose volumes the repository holds.
	volumeNamespace string
}

// closer is an open repository, as far as it has to be closed.
type closer interface {
	Close(ctx context.Context) error
}

// openIn finds a storage location and opens the repository in it. It ends the move if the location cannot be found in time. How
// long the repository takes is not limited, as long as its store gets on: with many index blobs it is long on a slow one.
func openIn[R closer](
	ctx context.Context, m *attempt, where repositoryKey, open func(context.Context, repository.Access) (R, error),
) (R, error) {
	limit := m.Clock.AfterFunc(m.ResourceTimeout, func() {
		m.end(&endingError{
			error:     fmt.Errorf("backup storage location %s could not be read within %s", where.location, m.ResourceTimeout),
			retryable: true,
		})
	})

	var none R
	m.Log.WithField("location", where.location).Info("Opening the repository")
	access, err := m.locate(ctx, where)
	limit.Stop()
	if err != nil {
		return none, err
	}
	access.CacheLimit = m.CacheLimit
	opened, err := open(ctx, access)
	if err != nil {
		return none, fmt.Errorf("open the repository of namespace %s in backup storage location %s: %w",
			where.volumeNamespace, where.location, err)
	}
	return opened, nil
}

// locate reads the storage location and what belongs to it. An API server that does not answer well is asked again for a
// while: a whole attempt is worth more than one of its requests.
func (m *attempt) locate(ctx context.Context, where repositoryKey) (repository.Access, error) {
	delay := wait.Backoff{Duration: minLocateDelay, Factor: 2, Steps: maxLocates, Jitter: 0.5}
	for {
		access, err := location.Resolve(ctx, m.Client, m.Namespace, where.location, where.volumeNamespace, m.WorkDir, m.Log)
		pause := delay.Step()
		if err == nil || !retryable(err) || delay.Steps == 0 {
			return access, err
		}
		m.Log.WithError(err).WithField("delay", pause).Warn("Cannot read the storage location, trying again")
		select {
		case <-ctx.Done():
			return repository.Access{}, err
		case <-m.Clock.After(pause):
		}
	}
}

// closeRepository closes also after a signal. Whatever counts is safe before.
func closeRepository(ctx context.Context, opened closer, log logrus.FieldLogger) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	if err := opened.Close(ctx); err != nil {
		log.WithError(err).Warn("Cannot close the repository")
	}
}
