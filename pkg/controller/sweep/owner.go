package sweep

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/expose"
)

// owner is the DataUpload or DataDownload that an object was made for. Another one of the same name has another UID.
type owner struct {
	kind string
	name types.NamespacedName
	uid  types.UID
}

// String is what the owner is called in messages.
func (o owner) String() string { return o.kind + " " + o.name.String() }

// newObject returns an empty object of the owner's kind.
func (o owner) newObject() v2alpha1.Transfer {
	if o.kind == v2alpha1.KindDataDownload {
		return &v2alpha1.DataDownload{}
	}
	return &v2alpha1.DataUpload{}
}

// ownerOf returns whom an object was made for, and false if the object is none of ours: that of another Velero in the cluster, a
// copy that somebody gave another name, a volume that somebody put to other use. Labels alone are too easily copied; a name
// that fits them is what node-agent gives.
func ownerOf(obj client.Object, namespace string) (owner, bool) {
	labels := obj.GetLabels()
	o := owner{kind: v2alpha1.KindDataUpload, uid: types.UID(labels[expose.OwnerUIDLabel])}
	if _, found := labels[v2alpha1.DataDownloadLabel]; found {
		o.kind = v2alpha1.KindDataDownload
	}
	o.name = types.NamespacedName{Namespace: namespace, Name: obj.GetName()}
	if obj.GetNamespace() == "" {
		o.name, _ = expose.Owner(obj, o.kind)
	} else if o.kind == v2alpha1.KindDataDownload {
		o.name.Name = expose.DownloadOf(obj)
	}
	ours := o.uid != "" && o.name.Namespace == namespace && labels[expose.NameLabel(o.kind)] == velerov1.LabelValue(o.name.Name)
	if pv, isPV := obj.(*corev1.PersistentVolume); isPV && ours {
		_, handedOver := expose.HandOverTarget(pv)
		ours = handedOver || expose.ClaimRefersTo(pv, o.name)
	}
	return o, ours
}
