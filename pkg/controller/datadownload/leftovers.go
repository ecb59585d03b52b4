package datadownload

import (
	"context"

	corev1 "k8s.io/api/core/v1"

	"github.com/node-agent/node-agent/pkg/controller/transfer"
)

// RemoveLeftovers does the next part of clean-up, in the order and by the rules of every other one. It returns what must be
// gone before the part after that, or nothing when all is done. It writes nothing to the DataDownload. Persistent volumes are
// found by their label, a cachePVC by its name.
func (r *Reconciler) RemoveLeftovers(ctx context.Context, l transfer.Leftovers) (string, error) {
	s := newScope(r.NewScope(l.Transfer))
	for _, obj := range l.Objects {
		switch typed := obj.(type) {
		case *corev1.Pod:
			s.Pod = typed
		case *corev1.PersistentVolumeClaim:
			if typed.Name == s.dd.Name {
				s.PVC = typed
			}
		}
	}
	return transfer.RemoveInOrder(ctx, s, r.removeVolumes())
}
