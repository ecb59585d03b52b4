package datadownload

import (
	"context"

	corev1 "k8s.io/api/core/v1"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/config"
	"github.com/node-agent/node-agent/pkg/controller/engine"
)

// scope holds what one pass over a DataDownload has read and decided.
type scope struct {
	*engine.Scope
	// dd is the Object of the Scope.
	dd *v2alpha1.DataDownload

	// config is what counts for this DataDownload from accepted on.
	config config.Download
	// target is the PVC that waits for its data, read by the step that needs it.
	target *corev1.PersistentVolumeClaim
	// cachePVC is for the cache of the restore; nil if there is none, or the restore pod is made already.
	cachePVC *corev1.PersistentVolumeClaim
	// restored is what the restore pod has left behind, and nil before it was successful.
	restored *restored
}

func newScope(s *engine.Scope) *scope {
	dd := s.Object.(*v2alpha1.DataDownload)
	return &scope{Scope: s, dd: dd, restored: restoredOf(dd)}
}

// observe reads what exists for DataDownloads only.
func (r *Reconciler) observe(_ context.Context, shared *engine.Scope) (*scope, error) {
	s := newScope(shared)
	s.use(engine.Configuration(shared, config.Download{}))
	return s, nil
}

// use lets a configuration count.
func (s *scope) use(configured config.Download) {
	s.config = configured
	s.Configured, s.ConfiguredBy = configured.Summary(), configured.Source
}
