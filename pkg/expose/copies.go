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

// Object is a Secret or a ConfigMap.
type Object interface {
	metav1.Object
	runtime.Object
}

// Copy builds the copy of a Secret or ConfigMap in the namespace of the backupPVC or restorePVC. It keeps its name, by which the
// driver looks for it, so that it has to be shared; the DataUploads and DataDownloads that use it are its owners.
func Copy(transfer v2alpha1.Transfer, original Object) Object {
	meta := metav1.ObjectMeta{
		Namespace: transfer.GetNamespace(),
		Name:      original.GetName(),
		Labels: map[string]string{
			CopiedFromLabel:        velerov1.LabelValue(original.GetNamespace()),
			excludeFromBackupLabel: "true",
		},
		OwnerReferences: []metav1.OwnerReference{userReference(transfer)},
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

// Uses tells whether a DataUpload or DataDownload is a user of a copy.
func Uses(transfer v2alpha1.Transfer, obj metav1.Object) bool {
	return IsCopy(obj) && slices.ContainsFunc(obj.GetOwnerReferences(), isUser(transfer))
}

// AddUser makes a DataUpload or DataDownload one more user of a copy.
func AddUser(obj metav1.Object, transfer v2alpha1.Transfer) {
	obj.SetOwnerReferences(append(slices.Clone(obj.GetOwnerReferences()), userReference(transfer)))
}

// RemoveUser takes a DataUpload or DataDownload from the users of a copy and returns how many are left.
func RemoveUser(obj metav1.Object, transfer v2alpha1.Transfer) int {
	users := slices.DeleteFunc(slices.Clone(obj.GetOwnerReferences()), isUser(transfer))
	obj.SetOwnerReferences(users)
	return len(users)
}

func isUser(transfer v2alpha1.Transfer) func(metav1.OwnerReference) bool {
	return func(reference metav1.OwnerReference) bool { return reference.UID == transfer.GetUID() }
}

// Users names the first user of a copy, and says how many more there are.
func Users(obj metav1.Object) string {
	users := obj.GetOwnerReferences()
	if len(users) == 0 {
		return "nobody"
	}
	text := users[0].Kind + " " + users[0].Name
	if more := len(users) - 1; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// userReference is an owner reference among several, of which none is the controller.
func userReference(transfer v2alpha1.Transfer) metav1.OwnerReference {
	reference := OwnerReference(transfer)
	reference.Controller = nil
	return reference
}
