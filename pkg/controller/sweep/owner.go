package sweep

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/expose"
)

// ownerOf returns name and UID of the DataUpload that an object was made for, and false if the object is none of ours:
// that of another Velero in the cluster, a copy that somebody gave another name, a volume that somebody put to other use.
// Labels alone are too easily copied; a name that fits them is what node-agent gives.
func ownerOf(obj client.Object, namespace string) (types.NamespacedName, types.UID, bool) {
	labels := obj.GetLabels()
	owner, uid := types.NamespacedName{Namespace: namespace, Name: obj.GetName()}, types.UID(labels[expose.OwnerUIDLabel])
	if obj.GetNamespace() == "" {
		owner, _ = expose.Owner(obj, v2alpha1.KindDataUpload)
	}
	ours := uid != "" && owner.Namespace == namespace && labels[v2alpha1.DataUploadLabel] == velerov1.LabelValue(owner.Name)
	if pv, isPV := obj.(*corev1.PersistentVolume); isPV && ours {
		ours = expose.ClaimedBy(pv, owner)
	}
	return owner, uid, ours
}
