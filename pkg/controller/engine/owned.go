package engine

import (
	"context"
	"fmt"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/expose"
)

// Owned reads the object of the name of a DataUpload or DataDownload if it was made for that one, else nil.
func Owned[T client.Object](ctx context.Context, reader client.Reader, transfer v2alpha1.Transfer, obj T) (T, error) {
	var none T
	key := client.ObjectKeyFromObject(transfer)
	if _, clusterScoped := any(obj).(*snapshotv1.VolumeSnapshotContent); clusterScoped {
		key.Namespace = ""
	}
	if err := reader.Get(ctx, key, obj); err != nil {
		if apierrors.IsNotFound(err) {
			return none, nil
		}
		return none, fmt.Errorf("reading %T %s: %w", obj, key, err)
	}
	if !IsOwned(obj, transfer) {
		return none, nil
	}
	return obj, nil
}

// IsOwned tells whether an object was made for a DataUpload or DataDownload.
func IsOwned(obj metav1.Object, transfer v2alpha1.Transfer) bool {
	if expose.IsOurs(obj, transfer) {
		return true
	}
	if _, marked := obj.GetLabels()[expose.OwnerUIDLabel]; marked {
		return false // made for another one of the same name
	}
	// Stock Velero's alias VolumeSnapshot and content carry neither label nor owner; they are known by their binding.
	switch o := obj.(type) {
	case *snapshotv1.VolumeSnapshot:
		name := o.Spec.Source.VolumeSnapshotContentName
		return name != nil && *name == transfer.GetName()
	case *snapshotv1.VolumeSnapshotContent:
		return o.Spec.VolumeSnapshotRef.Namespace == transfer.GetNamespace() && o.Spec.VolumeSnapshotRef.Name == transfer.GetName()
	default:
		return false
	}
}
