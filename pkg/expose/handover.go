package expose

import (
	"maps"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
)

// What a PersistentVolume of a restore carries until it belongs to the target PVC.
const (
	// reclaimPolicyAnnotation remembers the reclaim policy that the volume was made with.
	reclaimPolicyAnnotation = "node-agent.io/reclaim-policy"
	// targetAnnotation holds namespace and name of the PVC that the volume is handed over to.
	targetAnnotation = "node-agent.io/target"
)

// Adopt marks the volume of a restorePVC: it goes with the restorePVC, but what its class says is remembered.
func Adopt(pv *corev1.PersistentVolume, dd *v2alpha1.DataDownload) {
	Mark(pv, dd)
	if pv.Annotations[reclaimPolicyAnnotation] == "" {
		pv.Annotations[reclaimPolicyAnnotation] = string(pv.Spec.PersistentVolumeReclaimPolicy)
	}
	pv.Spec.PersistentVolumeReclaimPolicy = corev1.PersistentVolumeReclaimDelete
}

// IsAdopted tells whether a volume was marked by Adopt.
func IsAdopted(pv *corev1.PersistentVolume, dd *v2alpha1.DataDownload) bool {
	return IsOurs(pv, dd) && pv.Annotations[reclaimPolicyAnnotation] != ""
}

// Retain keeps a restored volume whatever becomes of its PVC, and says which PVC it is for.
func Retain(pv *corev1.PersistentVolume, dd *v2alpha1.DataDownload) {
	Adopt(pv, dd)
	pv.Annotations[targetAnnotation] = dd.Spec.TargetVolume.Namespace + "/" + dd.Spec.TargetVolume.PVC
	pv.Spec.PersistentVolumeReclaimPolicy = corev1.PersistentVolumeReclaimRetain
}

// IsRetained tells whether Retain was done.
func IsRetained(pv *corev1.PersistentVolume) bool {
	return pv.Annotations[targetAnnotation] != "" && pv.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimRetain
}

// HandOverTarget is the PVC that a volume is handed over to, and false if it is not.
func HandOverTarget(pv *corev1.PersistentVolume) (types.NamespacedName, bool) {
	namespace, name, found := strings.Cut(pv.Annotations[targetAnnotation], "/")
	return types.NamespacedName{Namespace: namespace, Name: name}, found
}

// BindTarget lets the target PVC wait for the restored volume and no other.
func BindTarget(target *corev1.PersistentVolumeClaim, volume string) {
	delete(target.Annotations, bindCompletedAnnotation)
	delete(target.Annotations, boundByControllerAnnotation)
	target.Spec.VolumeName = volume
}

// BindVolume makes the target PVC the owner of the restored volume, and gives the volume the labels that the target's selector
// asks for. From here on it belongs into a backup.
func BindVolume(pv *corev1.PersistentVolume, target *corev1.PersistentVolumeClaim) {
	if pv.Labels == nil {
		pv.Labels = map[string]string{}
	}
	delete(pv.Labels, excludeFromBackupLabel)
	maps.Copy(pv.Labels, selected(target))
	delete(pv.Annotations, boundByControllerAnnotation)
	pv.Spec.ClaimRef = &corev1.ObjectReference{
		APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: target.Namespace, Name: target.Name, UID: target.UID,
	}
}

// selected are the labels that the selector of a PVC names. Velero's has matchLabels only. What else it may ask for keeps other
// volumes from the PVC; Kubernetes binds one that the PVC names, and that names the PVC, whatever its labels.
func selected(target *corev1.PersistentVolumeClaim) map[string]string {
	labels := map[string]string{}
	if target.Spec.Selector == nil {
		return labels
	}
	maps.Copy(labels, target.Spec.Selector.MatchLabels)
	for _, expression := range target.Spec.Selector.MatchExpressions {
		if expression.Operator == metav1.LabelSelectorOpIn && len(expression.Values) > 0 {
			labels[expression.Key] = expression.Values[0]
		}
	}
	return labels
}

// BelongsTo tells whether a PVC is the owner of a volume.
func BelongsTo(pv *corev1.PersistentVolume, pvc *corev1.PersistentVolumeClaim) bool {
	return pv.Spec.ClaimRef != nil && pv.Spec.ClaimRef.UID == pvc.UID
}

// Unmark takes from a volume what it carried during the restore, and gives it the reclaim policy that it was made with.
func Unmark(pv *corev1.PersistentVolume) {
	if policy := pv.Annotations[reclaimPolicyAnnotation]; policy != "" {
		pv.Spec.PersistentVolumeReclaimPolicy = corev1.PersistentVolumeReclaimPolicy(policy)
	}
	for _, key := range []string{reclaimPolicyAnnotation, targetAnnotation, downloadAnnotation} {
		delete(pv.Annotations, key)
	}
	for _, key := range []string{v2alpha1.DataDownloadLabel, OwnerUIDLabel} {
		delete(pv.Labels, key)
	}
}
