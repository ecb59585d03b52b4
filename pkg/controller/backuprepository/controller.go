// Package backuprepository initialises backup repositories where no Velero server does (--manage-repositories). What it
// makes is what a Velero server would have made, so that one can take over later.
package backuprepository

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/sirupsen/logrus"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
	"github.com/node-agent/node-agent/pkg/location"
	"github.com/node-agent/node-agent/pkg/repository"
)

const (
	// maintenanceFrequency is Velero's default for Kopia repositories.
	maintenanceFrequency = time.Hour
	// parallelRepositories keeps a store that does not answer, which takes minutes to know, from holding up the repositories in
	// others.
	parallelRepositories = 4
	// retryAfter is when a repository that could not be initialised is tried again.
	retryAfter = 30 * time.Second
)

// Reconciler brings BackupRepositories from New or NotReady to Ready.
type Reconciler struct {
	Namespace string
	Client    client.Client
	// Live reads Secrets, which no cache should hold.
	Live  client.Reader
	Clock clock.PassiveClock
	Log   logrus.FieldLogger
}

// SetupWithManager lets the manager call Reconcile for every BackupRepository.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	err := ctrl.NewControllerManagedBy(mgr).Named("backuprepository").For(&velerov1.BackupRepository{}).
		WithOptions(controller.Options{MaxConcurrentReconciles: parallelRepositories}).Complete(r)
	if err != nil {
		return fmt.Errorf("setting up the backuprepository controller: %w", err)
	}
	return nil
}

// Reconcile initialises one repository. A failure is recorded in the status, which DataUploads that wait for it quote.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	current := &velerov1.BackupRepository{}
	if err := r.Client.Get(ctx, request.NamespacedName, current); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if current.Spec.RepositoryType != velerov1.RepositoryTypeKopia || current.Status.Phase == velerov1.BackupRepositoryPhaseReady {
		return ctrl.Result{}, nil
	}
	log := r.Log.WithField("backupRepository", request.String())
	desired := current.DeepCopy()
	result := ctrl.Result{}
	if err := r.initialize(ctx, current, log); err != nil {
		desired.Status.Phase = velerov1.BackupRepositoryPhaseNotReady
		desired.Status.Message = err.Error()
		result.RequeueAfter = retryAfter
	} else {
		desired.Spec.MaintenanceFrequency = metav1.Duration{Duration: maintenanceFrequency}
		desired.Status.Phase = velerov1.BackupRepositoryPhaseReady
		desired.Status.Message = ""
		desired.Status.LastMaintenanceTime = &metav1.Time{Time: r.Clock.Now()}
	}
	if equality.Semantic.DeepEqual(current, desired) {
		return result, nil
	}
	patch := client.MergeFromWithOptions(current, client.MergeFromWithOptimisticLock{})
	if err := r.Client.Patch(ctx, desired, patch); err != nil {
		return ctrl.Result{}, fmt.Errorf("writing the status of backup repository %s: %w", request, err)
	}
	if desired.Status.Phase == velerov1.BackupRepositoryPhaseReady {
		log.Info("backup repository is ready")
	} else {
		log.WithField("reason", desired.Status.Message).Warn("backup repository is not ready")
	}
	return result, nil
}

func (r *Reconciler) initialize(ctx context.Context, backupRepository *velerov1.BackupRepository, log logrus.FieldLogger) error {
	// Credentials and Kopia's state are needed for the moment only.
	dir, err := os.MkdirTemp("", "backup-repository-")
	if err != nil {
		return fmt.Errorf("making a directory for credentials: %w", err)
	}
	defer func() {
		if err := os.RemoveAll(dir); err != nil {
			log.WithError(err).Warn("cannot remove temporary credentials")
		}
	}()
	spec := backupRepository.Spec
	access, err := location.Resolve(ctx, r.Live, r.Namespace, spec.BackupStorageLocation, spec.VolumeNamespace, dir, log)
	if err != nil {
		return err
	}
	if access.FullMaintenanceInterval, err = velerov1.FullMaintenanceInterval(spec.RepositoryConfig); err != nil {
		return fmt.Errorf("spec.repositoryConfig: %w", err)
	}
	return repository.Initialize(ctx, access)
}
