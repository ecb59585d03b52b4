package engine

import (
	"context"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
	"github.com/node-agent/node-agent/pkg/location/settings"
	"github.com/node-agent/node-agent/pkg/text"
)

// locationSettings is the reason of the Event about settings of a storage location that do not count for data.
const locationSettings = "StorageLocationSettings"

// announceLocation names, once, the settings of the storage location that have no effect on the data. It is a warning if one
// of them might be meant to have some. A location that is missing is told about by who needs it.
func (e *Engine) announceLocation(ctx context.Context, s *Scope) {
	location := &velerov1.BackupStorageLocation{}
	name := s.Object.TransferSpec().BackupStorageLocation
	if err := e.Client.Get(ctx, client.ObjectKey{Namespace: e.Namespace, Name: name}, location); err != nil {
		s.Log.WithError(err).Debug("the settings of the storage location cannot be looked at")
		return
	}
	remarks := settings.WithoutEffect(location.Spec)
	if len(remarks) == 0 {
		return
	}
	kind := corev1.EventTypeNormal
	texts := make([]string, len(remarks))
	for i, remark := range remarks {
		texts[i] = remark.String()
		if !remark.Harmless {
			kind = corev1.EventTypeWarning
		}
	}
	e.Events.Eventf(s.Object, nil, kind, locationSettings, actionPrepare, "%s",
		text.Shorten("backup storage location "+name+" has settings with no effect on data: "+strings.Join(texts, "; "), maxMessage))
}
