// Package expose builds the objects through which a volume snapshot becomes readable by a backup pod, and explains why
// they are not ready yet. It takes values and returns objects: it has no client and no clock.
package expose

import (
	"maps"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
)

const (
	// OwnerUIDLabel carries the UID of the DataUpload that an object was made for. Cluster-scoped objects cannot have a
	// namespaced owner reference and are found by it.
	OwnerUIDLabel = "node-agent.io/data-upload-uid"
	// OwnerAnnotation carries namespace and name of that DataUpload on cluster-scoped objects.
	OwnerAnnotation = "node-agent.io/data-upload"
	// SourceContentAnnotation on the alias VolumeSnapshotContent names the source's, which must go after the source
	// VolumeSnapshot that points to it is gone.
	SourceContentAnnotation = "node-agent.io/source-content"
)

// Labels are carried by every object made for the DataUpload.
func Labels(du *v2alpha1.DataUpload) map[string]string {
	return map[string]string{
		v2alpha1.DataUploadLabel: velerov1.LabelValue(du.Name),
		OwnerUIDLabel:            string(du.UID),
	}
}

// OwnerReference makes the DataUpload the controller of an object in its own namespace.
func OwnerReference(du *v2alpha1.DataUpload) metav1.OwnerReference {
	return metav1.OwnerReference{
		APIVersion: v2alpha1.GroupVersion.String(),
		Kind:       "DataUpload",
		Name:       du.Name,
		UID:        du.UID,
		Controller: new(true),
	}
}

// IsOurs tells whether the object was made for this very DataUpload. An object of stock Velero has only the owner
// reference, a cluster-scoped one of ours only the label.
func IsOurs(obj metav1.Object, du *v2alpha1.DataUpload) bool {
	return metav1.IsControlledBy(obj, du) || obj.GetLabels()[OwnerUIDLabel] == string(du.UID)
}

// Owner returns the DataUpload that a cluster-scoped object was made for, and false if it is none of ours.
func Owner(obj metav1.Object) (types.NamespacedName, bool) {
	namespace, name, found := strings.Cut(obj.GetAnnotations()[OwnerAnnotation], "/")
	return types.NamespacedName{Namespace: namespace, Name: name}, found && namespace != "" && name != ""
}

// ClaimedBy tells whether a persistent volume belongs to the backupPVC of a DataUpload, be that PVC gone or not. One that
// somebody has bound to another claim since does not.
func ClaimedBy(pv *corev1.PersistentVolume, dataUpload types.NamespacedName) bool {
	claim := pv.Spec.ClaimRef
	return claim == nil || claim.Namespace == dataUpload.Namespace && claim.Name == dataUpload.Name
}

// Mark makes a cluster-scoped object findable as one of the DataUpload's.
func Mark(obj metav1.Object, du *v2alpha1.DataUpload) {
	labels := map[string]string{}
	maps.Copy(labels, obj.GetLabels())
	maps.Copy(labels, Labels(du))
	obj.SetLabels(labels)
	annotations := map[string]string{}
	maps.Copy(annotations, obj.GetAnnotations())
	annotations[OwnerAnnotation] = du.Namespace + "/" + du.Name
	obj.SetAnnotations(annotations)
}
