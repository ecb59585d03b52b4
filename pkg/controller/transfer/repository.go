package transfer

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/controller/engine"
	"github.com/node-agent/node-agent/pkg/expose"
	"github.com/node-agent/node-agent/pkg/waiting"
)

// Codes of reasons that concern the repository.
const (
	locationMissing      = "BackupStorageLocationMissing"
	repositoryNotReady   = "BackupRepositoryNotReady"
	waitingForRepository = "WaitingForBackupRepository"
	// repositoryConfigIgnored is that of an Event about a setting.
	repositoryConfigIgnored = "RepositoryConfigIgnored"
)

// EnsureRepository waits until the BackupRepository of the volume's namespace is ready. It asks for one that is missing
// by creating the CR; who initialises it is the Velero server, or this agent with --manage-repositories.
func (e Steps) EnsureRepository(ctx context.Context, s *engine.Scope) error {
	name := s.Object.TransferSpec().BackupStorageLocation
	location := &velerov1.BackupStorageLocation{}
	err := e.Client.Get(ctx, client.ObjectKey{Namespace: e.Namespace, Name: name}, location)
	switch {
	case apierrors.IsNotFound(err):
		return engine.Waitf(locationMissing, "backup storage location %q not found in namespace %s", name, e.Namespace)
	case err != nil:
		return fmt.Errorf("reading backup storage location %s: %w", name, err)
	case location.Spec.AccessMode == velerov1.BackupStorageLocationReadOnly && e.Kind.WritesRepository:
		return engine.Failf("backup storage location %q is read-only (spec.accessMode)", name)
	}

	repositories := &velerov1.BackupRepositoryList{}
	labels := repositoryLabels(s.Object)
	if err := e.Client.List(ctx, repositories, client.InNamespace(e.Namespace), client.MatchingLabels(labels)); err != nil {
		return fmt.Errorf("listing backup repositories: %w", err)
	}
	switch len(repositories.Items) {
	case 0:
		return e.createRepository(ctx, s, labels)
	case 1:
		s.RepositoryConfig = repositories.Items[0].Spec.RepositoryConfig
		return repositoryOutcome(&repositories.Items[0])
	default:
		return engine.Waitf(repositoryNotReady,
			"%d backup repositories exist for namespace %s in location %s, expected one: delete all but the right one",
			len(repositories.Items), s.Object.TransferSpec().SourceNamespace, name)
	}
}

func (e Steps) createRepository(ctx context.Context, s *engine.Scope, labels map[string]string) error {
	spec := s.Object.TransferSpec()
	repository := &velerov1.BackupRepository{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: e.Namespace,
			Name:      expose.BackupRepositoryName(spec.SourceNamespace, spec.BackupStorageLocation),
			Labels:    labels,
		},
		Spec: velerov1.BackupRepositorySpec{
			VolumeNamespace:       spec.SourceNamespace,
			BackupStorageLocation: spec.BackupStorageLocation,
			RepositoryType:        velerov1.RepositoryTypeKopia,
		},
	}
	if s.Expired {
		return e.NotMade(s, "backup repository %s was not made in time", repository.Name)
	}
	// Another one of the namespace may have been faster.
	if err := e.Client.Create(ctx, repository); client.IgnoreAlreadyExists(err) != nil {
		return fmt.Errorf("creating backup repository %s: %w", repository.Name, err)
	}
	return repositoryOutcome(repository)
}

func repositoryOutcome(repository *velerov1.BackupRepository) error {
	switch repository.Status.Phase {
	case velerov1.BackupRepositoryPhaseReady:
		return nil
	case velerov1.BackupRepositoryPhaseNotReady:
		return engine.Wait(waiting.Reason{
			Code:    repositoryNotReady,
			Message: fmt.Sprintf("backup repository %s is not ready", repository.Name),
			Quote:   repository.Status.Message,
		})
	default:
		return engine.Wait(waiting.Reason{
			Code: waitingForRepository, Expected: true,
			Message: fmt.Sprintf("backup repository %s is not yet initialised by the Velero server, "+
				"or by node-agent with --manage-repositories", repository.Name),
		})
	}
}

// repositoryLabels are how Velero finds the BackupRepository of a DataUpload or DataDownload.
func repositoryLabels(transfer v2alpha1.Transfer) map[string]string {
	return map[string]string{
		velerov1.VolumeNamespaceLabel: velerov1.LabelValue(transfer.TransferSpec().SourceNamespace),
		velerov1.StorageLocationLabel: velerov1.LabelValue(transfer.TransferSpec().BackupStorageLocation),
		velerov1.RepositoryTypeLabel:  velerov1.RepositoryTypeKopia,
	}
}

// WarnOfRepositoryConfig names settings of the BackupRepository that have no effect on a pod, because they are wrong.
func (e Steps) WarnOfRepositoryConfig(s *engine.Scope) {
	if _, err := velerov1.CacheLimit(s.RepositoryConfig); err != nil {
		e.Warn(s, repositoryConfigIgnored, "spec.repositoryConfig of the backup repository of namespace %s: %v; %d is used",
			s.Object.TransferSpec().SourceNamespace, err, velerov1.DefaultCacheLimit)
	}
}
