package engine

import (
	"context"
	"strings"
	"time"

	"github.com/sirupsen/logrus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/attempts"
	"github.com/node-agent/node-agent/pkg/notice"
	"github.com/node-agent/node-agent/pkg/waiting"
)

// Scope holds what one pass has read and decided.
type Scope struct {
	// Object is the copy of the DataUpload or DataDownload that steps change, read is as it is in the cluster.
	Object, read v2alpha1.Transfer
	Now          time.Time
	Log          logrus.FieldLogger

	// Pod moves the data, PVC is what it mounts, as far as the cache knows them; nil if there are none, or not ours.
	Pod *corev1.Pod
	PVC *corev1.PersistentVolumeClaim
	// LostPod is the pod of an attempt that was given up, until it is gone. It never is Pod as well.
	LostPod *corev1.Pod

	// Class is the storage class of the source PVC of a DataUpload, under which the configuration has its settings.
	Class string
	// Configured says in words what the configuration is, and where it comes from.
	Configured, ConfiguredBy string

	// RepositoryConfig are the settings of the BackupRepository, known from EnsureRepository on.
	RepositoryConfig map[string]string

	// Notices are what the mover says about a volume whose transfer is complete.
	Notices []notice.Notice

	// Expired is set when the prepare timeout has passed: nothing is made any more.
	Expired bool

	// reason is what is waited for, if that is news.
	reason waiting.Reason
	// lost is the cause of losing an attempt in this pass, for the metric.
	lost string
}

// observe reads what exists for a DataUpload or DataDownload of either kind. It costs no API call.
func (e *Engine) observe(ctx context.Context, transfer v2alpha1.Transfer) (*Scope, error) {
	s := e.NewScope(transfer)
	resume(s.Object)
	s.Expired = s.Phase() == accepted && !s.Now.Before(e.prepareDeadline(transfer))
	var err error
	if s.Pod, err = Owned(ctx, e.Client, transfer, &corev1.Pod{}); err != nil {
		return nil, err
	}
	if s.Pod != nil && s.Phase() == accepted && attempts.IsLost(transfer, s.Pod.UID) {
		s.Pod, s.LostPod = nil, s.Pod
	}
	s.PVC, err = Owned(ctx, e.Client, transfer, &corev1.PersistentVolumeClaim{})
	return s, err
}

// NewScope is a scope in which nothing is read yet.
func (e *Engine) NewScope(transfer v2alpha1.Transfer) *Scope {
	return &Scope{
		read: transfer, Object: transfer.DeepCopyObject().(v2alpha1.Transfer), Now: e.Clock.Now(),
		Log: e.Log.WithField(logField(transfer.TransferKind()), transfer.GetNamespace()+"/"+transfer.GetName()),
	}
}

// logField is what a DataUpload or DataDownload is called in the log.
func logField(kind string) string {
	return strings.ToLower(kind[:1]) + kind[1:]
}

// Shared is the scope itself, also for one that is around it.
func (s *Scope) Shared() *Scope { return s }

// Waited is how long ago it was accepted, or made if it is New.
func (s *Scope) Waited() time.Duration { return s.Now.Sub(acceptedAt(s.Object)) }

// Status is what is known about the DataUpload or DataDownload. Steps change it.
func (s *Scope) Status() *v2alpha1.TransferStatus { return s.Object.TransferStatus() }

// Phase is the phase that steps have reached; empty means New.
func (s *Scope) Phase() v2alpha1.Phase {
	if s.Status().Phase == "" {
		return isNew
	}
	return s.Status().Phase
}

func (s *Scope) phaseChanged() bool {
	return s.Status().Phase != s.read.TransferStatus().Phase
}

// end writes down an end.
func (s *Scope) end(ending *endError) {
	status := s.Status()
	status.Phase = ending.phase
	status.Message = ending.message
	status.CompletionTimestamp = &metav1.Time{Time: s.Now}
	// Velero's backup and restore count an operation as begun only if it has a start.
	if status.StartTimestamp == nil {
		status.StartTimestamp = &metav1.Time{Time: s.Now}
	}
	delete(s.Object.GetLabels(), v2alpha1.ExposeOnGoingLabel)
}

// SetAnnotation sets an annotation.
func SetAnnotation(obj metav1.Object, key, value string) {
	annotations := obj.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[key] = value
	obj.SetAnnotations(annotations)
}

func setLabel(obj metav1.Object, key, value string) {
	labels := obj.GetLabels()
	if labels == nil {
		labels = map[string]string{}
	}
	labels[key] = value
	obj.SetLabels(labels)
}
