package expose

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
)

// CopiedFromLabel marks a Secret or ConfigMap as a copy; its value is the namespace that it was first copied from.
const CopiedFromLabel = "node-agent.io/copied-from"

// excludeFromBackupLabel keeps Velero from backing a copy up with its own namespace.
const excludeFromBackupLabel = "velero.io/exclude-from-backup"

// Object is a Secret or a ConfigMap.
type Object interface {
	metav1.Object
	runtime.Object
}

// Copy builds the copy of a Secret or ConfigMap in the namespace of the backupPVC. It keeps its name, by which the driver looks
// for it, so that DataUploads have to share it; its users are its owners.
func Copy(du *v2alpha1.DataUpload, original Object) Object {
	meta := metav1.ObjectMeta{
		Namespace: du.Namespace,
		Name:      original.GetName(),
		Labels: map[string]string{
			CopiedFromLabel:        velerov1.LabelValue(original.GetNamespace()),
			excludeFromBackupLabel: "true",
		},
		OwnerReferences: []metav1.OwnerReference{userReference(du)},
	}
	switch o := original.(type) {
	case *corev1.Secret:
		return &corev1.Secret{ObjectMeta: meta, Type: o.Type, Data: o.Data}
	case *corev1.ConfigMap:
		return &corev1.ConfigMap{ObjectMeta: meta, Data: o.Data, BinaryData: o.BinaryData}
	default:
		panic(fmt.Sprintf("a %T cannot be copied", original)) // nothing else is ever asked for
	}
}

// SameContent tells whether two Secrets or two ConfigMaps hold the same.
func SameContent(a, b Object) bool {
	switch a := a.(type) {
	case *corev1.Secret:
		b, ok := b.(*corev1.Secret)
		return ok && a.Type == b.Type && equality.Semantic.DeepEqual(a.Data, b.Data)
	case *corev1.ConfigMap:
		b, ok := b.(*corev1.ConfigMap)
		return ok && equality.Semantic.DeepEqual(a.Data, b.Data) && equality.Semantic.DeepEqual(a.BinaryData, b.BinaryData)
	default:
		return false
	}
}

// IsCopy tells whether an object was made by Copy.
func IsCopy(obj metav1.Object) bool {
	_, found := obj.GetLabels()[CopiedFromLabel]
	return found
}

// Uses tells whether the DataUpload is a user of a copy.
func Uses(du *v2alpha1.DataUpload, obj metav1.Object) bool {
	return IsCopy(obj) && slices.ContainsFunc(obj.GetOwnerReferences(), func(r metav1.OwnerReference) bool { return r.UID == du.UID })
}

// AddUser makes the DataUpload one more user of a copy.
func AddUser(obj metav1.Object, du *v2alpha1.DataUpload) {
	obj.SetOwnerReferences(append(slices.Clone(obj.GetOwnerReferences()), userReference(du)))
}

// RemoveUser takes the DataUpload from the users of a copy and returns how many are left.
func RemoveUser(obj metav1.Object, du *v2alpha1.DataUpload) int {
	users := slices.DeleteFunc(slices.Clone(obj.GetOwnerReferences()), func(r metav1.OwnerReference) bool { return r.UID == du.UID })
	obj.SetOwnerReferences(users)
	return len(users)
}

// userReference is an owner reference among several, of which none is the controller.
func userReference(du *v2alpha1.DataUpload) metav1.OwnerReference {
	reference := OwnerReference(du)
	reference.Controller = nil
	return reference
}
