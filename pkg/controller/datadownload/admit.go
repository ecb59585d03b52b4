package datadownload

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/controller/engine"
	"github.com/node-agent/node-agent/pkg/waiting"
)

// admit accepts a DataDownload whose target PVC is there, or refuses one that nobody could serve.
func (r *Reconciler) admit(ctx context.Context, s *scope) error {
	if message := invalid(&s.dd.Spec); message != "" {
		return engine.End(v2alpha1.PhaseFailed, message)
	}
	target, err := r.target(ctx, s.dd.Spec.TargetVolume)
	if err != nil {
		return err
	}
	if target == nil {
		// Velero's restore may make the DataDownload before the PVC. The prepare timeout does not run meanwhile.
		volume := s.dd.Spec.TargetVolume
		return engine.WaitFor(s.targetPeriod(), waiting.Reason{
			Code: targetMissing, Expected: true,
			Message: fmt.Sprintf("target PVC %s/%s is not there yet", volume.Namespace, volume.PVC),
		})
	}
	if err := r.AwaitPreparation(ctx, s.Scope); err != nil {
		return err
	}
	s.target = target
	s.use(r.Config().ForDownload(classOf(target)))
	r.Accept(s.Scope, s.config)
	r.warnIfSmall(s)
	return nil
}

// warnIfSmall says that the target PVC asks for less than the snapshot has. The restore may come about all the same: holes take
// no room, and drivers may give more than was asked for.
func (r *Reconciler) warnIfSmall(s *scope) {
	size, asked := s.dd.Spec.SnapshotSize, s.target.Spec.Resources.Requests.Storage()
	if asked.Value() < size {
		r.Warn(s.Scope, targetTooSmall, "the snapshot has %s, but target PVC %s/%s asks for %s only: there may be no room for all of it",
			resource.NewQuantity(size, resource.BinarySI), s.target.Namespace, s.target.Name, asked)
	}
}

// invalid says what is wrong with a spec, or nothing.
func invalid(spec *v2alpha1.DataDownloadSpec) string {
	switch {
	case engine.RefusedDataMover(spec.DataMover) != "":
		return engine.RefusedDataMover(spec.DataMover)
	case spec.SnapshotID == "":
		return "spec.snapshotID is empty: the DataUpload that it comes from did not complete"
	case spec.TargetVolume.PVC == "":
		return "spec.targetVolume.pvc is empty"
	case spec.TargetVolume.Namespace == "":
		return "spec.targetVolume.namespace is empty"
	case spec.SourceNamespace == "":
		return "spec.sourceNamespace is empty"
	case spec.BackupStorageLocation == "":
		return "spec.backupStorageLocation is empty"
	case spec.NodeOS == v2alpha1.NodeOSWindows:
		return "spec.nodeOS is windows: node-agent restores volumes for Linux only"
	default:
		return ""
	}
}
