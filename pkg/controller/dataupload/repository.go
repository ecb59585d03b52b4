package dataupload

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/expose"
)

// Codes of reasons that concern the repository.
const (
	locationMissing      = "BackupStorageLocationMissing"
	repositoryNotReady   = "BackupRepositoryNotReady"
	waitingForRepository = "WaitingForBackupRepository"
)

// ensureRepository waits until the BackupRepository of the volume's namespace is ready. It asks for one that is missing
// by creating the CR; who initialises it is the Velero server, or this agent with --manage-repositories.
func (r *Reconciler) ensureRepository(ctx context.Context, s *scope) (outcome, error) {
	name := s.du.Spec.BackupStorageLocation
	location := &velerov1.BackupStorageLocation{}
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: r.Namespace, Name: name}, location)
	switch {
	case apierrors.IsNotFound(err):
		return outcome{}, waiting(locationMissing, "backup storage location %q not found in namespace %s", name, r.Namespace)
	case err != nil:
		return outcome{}, fmt.Errorf("reading backup storage location %s: %w", name, err)
	case location.Spec.AccessMode == velerov1.BackupStorageLocationReadOnly:
		return outcome{}, terminal("backup storage location %q is read-only (spec.accessMode)", name)
	}

	repositories := &velerov1.BackupRepositoryList{}
	labels := repositoryLabels(s.du)
	if err := r.Client.List(ctx, repositories, client.InNamespace(r.Namespace), client.MatchingLabels(labels)); err != nil {
		return outcome{}, fmt.Errorf("listing backup repositories: %w", err)
	}
	switch len(repositories.Items) {
	case 0:
		return r.createRepository(ctx, s, labels)
	case 1:
		return repositoryOutcome(&repositories.Items[0])
	default:
		return outcome{}, waiting(repositoryNotReady,
			"%d backup repositories exist for namespace %s in location %s, expected one: delete all but the right one",
			len(repositories.Items), s.du.Spec.SourceNamespace, name)
	}
}

func (r *Reconciler) createRepository(ctx context.Context, s *scope, labels map[string]string) (outcome, error) {
	spec := s.du.Spec
	repository := &velerov1.BackupRepository{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: r.Namespace,
			Name:      fmt.Sprintf("%s-%s-%s", spec.SourceNamespace, spec.BackupStorageLocation, velerov1.RepositoryTypeKopia),
			Labels:    labels,
		},
		Spec: velerov1.BackupRepositorySpec{
			VolumeNamespace:       spec.SourceNamespace,
			BackupStorageLocation: spec.BackupStorageLocation,
			RepositoryType:        velerov1.RepositoryTypeKopia,
		},
	}
	if s.expired {
		return outcome{}, waiting(notMade, "backup repository %s was not made in time", repository.Name)
	}
	// Another DataUpload of the namespace may have been faster.
	if err := r.Client.Create(ctx, repository); client.IgnoreAlreadyExists(err) != nil {
		return outcome{}, fmt.Errorf("creating backup repository %s: %w", repository.Name, err)
	}
	return repositoryOutcome(repository)
}

func repositoryOutcome(repository *velerov1.BackupRepository) (outcome, error) {
	switch repository.Status.Phase {
	case velerov1.BackupRepositoryPhaseReady:
		return outcome{}, nil
	case velerov1.BackupRepositoryPhaseNotReady:
		return wait(expose.Reason{
			Code:    repositoryNotReady,
			Message: fmt.Sprintf("backup repository %s is not ready", repository.Name),
			Quote:   repository.Status.Message,
		})
	default:
		return wait(expose.Reason{
			Code: waitingForRepository, Expected: true,
			Message: fmt.Sprintf("backup repository %s is not yet initialised by the Velero server, "+
				"or by node-agent with --manage-repositories", repository.Name),
		})
	}
}

// repositoryLabels are how Velero finds the BackupRepository of a DataUpload.
func repositoryLabels(du *v2alpha1.DataUpload) map[string]string {
	return map[string]string{
		velerov1.VolumeNamespaceLabel: velerov1.LabelValue(du.Spec.SourceNamespace),
		velerov1.StorageLocationLabel: velerov1.LabelValue(du.Spec.BackupStorageLocation),
		velerov1.RepositoryTypeLabel:  velerov1.RepositoryTypeKopia,
	}
}
