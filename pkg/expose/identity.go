// Package expose builds the objects through which a volume snapshot becomes readable by a backup pod, and a volume writable by a
// restore pod. It takes values and returns objects: it has no client and no clock.
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
	// OwnerUIDLabel carries the UID of the DataUpload or DataDownload that an object was made for. Cluster-scoped objects
	// cannot have a namespaced owner reference and are found by it.
	OwnerUIDLabel = "node-agent.io/owner-uid"
	// uploadAnnotation carries namespace and name of a DataUpload on cluster-scoped objects made for it, downloadAnnotation
	// those of a DataDownload.
	uploadAnnotation   = "node-agent.io/data-upload"
	downloadAnnotation = "node-agent.io/data-download"
	// SourceContentAnnotation on the alias VolumeSnapshotContent names the source's, which must go after the source
	// VolumeSnapshot that points to it is gone.
	SourceContentAnnotation = "node-agent.io/source-content"
)

// NameLabel is the label that holds the owner's name on every object made for a DataUpload or DataDownload.
func NameLabel(kind string) string {
	if kind == v2alpha1.KindDataDownload {
		return v2alpha1.DataDownloadLabel
	}
	return v2alpha1.DataUploadLabel
}

func ownerAnnotation(kind string) string {
	if kind == v2alpha1.KindDataDownload {
		return downloadAnnotation
	}
	return uploadAnnotation
}

// excludeFromBackupLabel keeps Velero from taking an object into a backup: what is there only while data moves is of no use later,
// and may be gone before it is backed up.
const excludeFromBackupLabel = "velero.io/exclude-from-backup"

// Labels are carried by every object made for a DataUpload or DataDownload.
func Labels(transfer v2alpha1.Transfer) map[string]string {
	return map[string]string{
		NameLabel(transfer.TransferKind()): velerov1.LabelValue(transfer.GetName()),
		OwnerUIDLabel:                      string(transfer.GetUID()),
		excludeFromBackupLabel:             "true",
	}
}

// OwnerReference makes a DataUpload or DataDownload the controller of an object in its own namespace.
func OwnerReference(transfer v2alpha1.Transfer) metav1.OwnerReference {
	return metav1.OwnerReference{
		APIVersion: v2alpha1.GroupVersion.String(),
		Kind:       transfer.TransferKind(),
		Name:       transfer.GetName(),
		UID:        transfer.GetUID(),
		Controller: new(true),
	}
}

// IsOurs tells whether the object was made for this very DataUpload or DataDownload. An object of stock Velero has only the
// owner reference, a cluster-scoped one of ours only the label.
func IsOurs(obj metav1.Object, transfer v2alpha1.Transfer) bool {
	return metav1.IsControlledBy(obj, transfer) || obj.GetLabels()[OwnerUIDLabel] == string(transfer.GetUID())
}

// Owner returns the DataUpload or DataDownload, as kind says, that a cluster-scoped object was made for, and false if there
// is none.
func Owner(obj metav1.Object, kind string) (types.NamespacedName, bool) {
	namespace, name, found := strings.Cut(obj.GetAnnotations()[ownerAnnotation(kind)], "/")
	return types.NamespacedName{Namespace: namespace, Name: name}, found && namespace != "" && name != ""
}

// ClaimRefersTo tells whether a persistent volume belongs to the PVC that was made for a DataUpload or DataDownload, be that PVC
// gone or not. One that somebody has bound to another PVC since does not.
func ClaimRefersTo(pv *corev1.PersistentVolume, owner types.NamespacedName) bool {
	claim := pv.Spec.ClaimRef
	return claim == nil || claim.Namespace == owner.Namespace && claim.Name == owner.Name
}

// Mark makes a cluster-scoped object findable as one of the DataUpload's or DataDownload's.
func Mark(obj metav1.Object, transfer v2alpha1.Transfer) {
	labels := map[string]string{}
	maps.Copy(labels, obj.GetLabels())
	maps.Copy(labels, Labels(transfer))
	obj.SetLabels(labels)
	annotations := map[string]string{}
	maps.Copy(annotations, obj.GetAnnotations())
	annotations[ownerAnnotation(transfer.TransferKind())] = transfer.GetNamespace() + "/" + transfer.GetName()
	obj.SetAnnotations(annotations)
}
