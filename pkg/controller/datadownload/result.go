package datadownload

import (
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/controller/engine"
	"github.com/node-agent/node-agent/pkg/controller/queue"
	"github.com/node-agent/node-agent/pkg/mover/result"
	"github.com/node-agent/node-agent/pkg/notice"
)

// restored is the value of queue.RestoredAnnotation, as JSON.
type restored struct {
	// Volume is the name of the PersistentVolume with the data.
	Volume string `json:"volume"`
	// Bytes is how many were restored.
	Bytes int64 `json:"bytes"`
	// At is when that was seen.
	At metav1.Time `json:"at,omitzero"`
	// Notices are what is to be said about the volume.
	Notices []notice.Notice `json:"notices,omitempty"`
}

// restoredOf is what a restore pod has left behind, or nil.
func restoredOf(dd *v2alpha1.DataDownload) *restored {
	text, found := dd.Annotations[queue.RestoredAnnotation]
	if !found {
		return nil
	}
	r := &restored{}
	if err := json.Unmarshal([]byte(text), r); err != nil || r.Volume == "" {
		return nil
	}
	return r
}

// succeed takes the result of the restore pod over. The DataDownload ends when the target PVC has the volume.
func succeed(s *engine.Scope, terminationMessage string) error {
	status := s.Status()
	moved, err := result.ParseRestored(terminationMessage)
	switch {
	case err != nil:
		return engine.Failf("restore pod succeeded, but left no usable result: %v", err)
	case status.Phase == v2alpha1.PhaseCanceling:
		return engine.End(v2alpha1.PhaseCanceled, status.Message)
	case s.PVC == nil || s.PVC.Spec.VolumeName == "":
		return engine.Failf("restore pod succeeded, but the restorePVC is gone, and the data with it")
	}
	text, err := json.Marshal(restored{
		Volume: s.PVC.Spec.VolumeName, Bytes: moved.TotalBytes, At: metav1.Time{Time: s.Now}, Notices: moved.Notices,
	})
	if err != nil {
		panic(fmt.Sprintf("marshal result: %v", err)) // strings and numbers can always be marshalled
	}
	engine.SetAnnotation(s.Object, queue.RestoredAnnotation, string(text))
	status.Phase = v2alpha1.PhaseInProgress // a pod that ended at once may not have been seen to start
	if status.StartTimestamp == nil {
		status.StartTimestamp = &metav1.Time{Time: s.Now}
	}
	status.Progress = v2alpha1.DataMoveOperationProgress{TotalBytes: moved.TotalBytes, BytesDone: moved.TotalBytes}
	return engine.Again()
}

// completed tells about a success.
func completed(s *engine.Scope) string {
	dd := s.Object.(*v2alpha1.DataDownload)
	s.Log.WithField("phase", dd.Status.Phase).WithField("volume", volumeOf(dd)).Info("completed")
	return fmt.Sprintf("%d bytes restored into volume %s of PVC %s/%s", dd.Status.Progress.TotalBytes, volumeOf(dd),
		dd.Spec.TargetVolume.Namespace, dd.Spec.TargetVolume.PVC)
}

func volumeOf(dd *v2alpha1.DataDownload) string {
	if r := restoredOf(dd); r != nil {
		return r.Volume
	}
	return ""
}
