package volumes

import (
	"context"
	"errors"
	"fmt"
	"slices"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/test/localnode/storage"
)

const (
	provisionedBy = "pv.kubernetes.io/provisioned-by"
	// provisionerFinalizer keeps a volume until the storage behind it is gone.
	provisionerFinalizer = "external-provisioner.volume.kubernetes.io/finalizer"
	// modeChangeAnnotation on a VolumeSnapshotContent lets a block snapshot become a file system, and back.
	modeChangeAnnotation = "snapshot.storage.kubernetes.io/allow-volume-mode-change"
)

// volumeFor returns the volume of a claim and provisions it if need be.
func (r *claimReconciler) volumeFor(
	ctx context.Context, claim *corev1.PersistentVolumeClaim, class *storagev1.StorageClass,
) (*corev1.PersistentVolume, error) {
	volume := &corev1.PersistentVolume{}
	err := r.live.Get(ctx, types.NamespacedName{Name: volumeName(claim)}, volume)
	if err == nil || !apierrors.IsNotFound(err) {
		return volume, err
	}
	r.provisioner.Event(claim, corev1.EventTypeNormal, "Provisioning",
		fmt.Sprintf("External provisioner is provisioning volume for claim %q", client.ObjectKeyFromObject(claim)))
	if err := checkClaim(claim, class); err != nil {
		return nil, err
	}
	handle, err := r.sourceHandle(ctx, claim)
	if err != nil {
		return nil, err
	}
	if err := r.disks.CreateVolume(storage.Volume{
		Name:     volumeName(claim),
		Block:    isBlock(claim),
		Bytes:    claim.Spec.Resources.Requests.Storage().Value(),
		Snapshot: handle,
	}); err != nil {
		return nil, rpcError(err)
	}
	volume = buildVolume(claim, class)
	if err := r.Create(ctx, volume); err != nil {
		return nil, fmt.Errorf("create volume object: %w", err)
	}
	r.provisioner.Event(claim, corev1.EventTypeNormal, "ProvisioningSucceeded", "Successfully provisioned volume "+volume.Name)
	return volume, nil
}

// checkClaim refuses what external-provisioner never serves, and what the class says the driver cannot do.
func checkClaim(claim *corev1.PersistentVolumeClaim, class *storagev1.StorageClass) error {
	if claim.Spec.Selector != nil {
		return errors.New("claim Selector is not supported")
	}
	if class.Parameters[ReadOnlyManyParameter] == "false" && slices.Contains(claim.Spec.AccessModes, corev1.ReadOnlyMany) {
		return errors.New("rpc error: code = InvalidArgument desc = volume capabilities not supported: " +
			"access mode MULTI_NODE_READER_ONLY")
	}
	return nil
}

// sourceHandle is the handle of the snapshot that the claim is to be filled from, or empty. What it says of a snapshot
// that cannot be used are the words of external-provisioner.
func (r *claimReconciler) sourceHandle(ctx context.Context, claim *corev1.PersistentVolumeClaim) (string, error) {
	source := claim.Spec.DataSource
	if source == nil {
		return "", nil
	}
	failed := func(err error) (string, error) {
		return "", fmt.Errorf("error getting handle for DataSource Type %s by Name %s: %w", source.Kind, source.Name, err)
	}
	if source.Kind != "VolumeSnapshot" || source.APIGroup == nil || *source.APIGroup != snapshotv1.GroupName {
		return failed(errors.New("only VolumeSnapshots are supported"))
	}
	snapshot := &snapshotv1.VolumeSnapshot{}
	if err := r.live.Get(ctx, types.NamespacedName{Namespace: claim.Namespace, Name: source.Name}, snapshot); err != nil {
		return failed(fmt.Errorf("error getting snapshot %s from api server: %w", source.Name, err))
	}
	if err := checkSnapshot(claim, snapshot); err != nil {
		return failed(err)
	}
	content := &snapshotv1.VolumeSnapshotContent{}
	if err := r.live.Get(ctx, types.NamespacedName{Name: *snapshot.Status.BoundVolumeSnapshotContentName}, content); err != nil {
		return failed(fmt.Errorf("error getting snapshotcontent of snapshot %s from api server: %w", source.Name, err))
	}
	handle, err := handleOf(claim, snapshot, content)
	if err != nil {
		return failed(err)
	}
	return handle, nil
}

func checkSnapshot(claim *corev1.PersistentVolumeClaim, snapshot *snapshotv1.VolumeSnapshot) error {
	switch status := snapshot.Status; {
	case !snapshot.DeletionTimestamp.IsZero():
		return fmt.Errorf("snapshot %s is currently being deleted", snapshot.Name)
	case status == nil || status.BoundVolumeSnapshotContentName == nil:
		return fmt.Errorf("snapshot %s not bound", snapshot.Name)
	case status.ReadyToUse == nil || !*status.ReadyToUse:
		return fmt.Errorf("snapshot %s is not Ready", snapshot.Name)
	case status.RestoreSize != nil && claim.Spec.Resources.Requests.Storage().Cmp(*status.RestoreSize) < 0:
		return fmt.Errorf("requested volume size %d is less than the size %d for the source snapshot %s",
			claim.Spec.Resources.Requests.Storage().Value(), status.RestoreSize.Value(), snapshot.Name)
	default:
		return nil
	}
}

func handleOf(
	claim *corev1.PersistentVolumeClaim, snapshot *snapshotv1.VolumeSnapshot, content *snapshotv1.VolumeSnapshotContent,
) (string, error) {
	ref := content.Spec.VolumeSnapshotRef
	switch {
	case ref.UID != snapshot.UID || ref.Namespace != snapshot.Namespace || ref.Name != snapshot.Name:
		return "", fmt.Errorf("snapshot %s not bound", snapshot.Name)
	case content.Spec.Driver != Driver:
		return "", fmt.Errorf("snapshot %s is of driver %s, not %s", snapshot.Name, content.Spec.Driver, Driver)
	case content.Status == nil || content.Status.SnapshotHandle == nil:
		return "", fmt.Errorf("snapshot handle %s is not available", snapshot.Name)
	}
	mode := content.Spec.SourceVolumeMode
	if mode != nil && (*mode == corev1.PersistentVolumeBlock) != isBlock(claim) && content.Annotations[modeChangeAnnotation] != "true" {
		return "", fmt.Errorf("requested volume %s/%s modifies the mode of the source volume but does not have permission to do so. "+
			"%s annotation is not present on snapshotcontent %s", claim.Namespace, claim.Name, modeChangeAnnotation, content.Name)
	}
	return *content.Status.SnapshotHandle, nil
}

func buildVolume(claim *corev1.PersistentVolumeClaim, class *storagev1.StorageClass) *corev1.PersistentVolume {
	mode := corev1.PersistentVolumeFilesystem
	if isBlock(claim) {
		mode = corev1.PersistentVolumeBlock
	}
	var finalizers []string
	if *class.ReclaimPolicy == corev1.PersistentVolumeReclaimDelete {
		finalizers = []string{provisionerFinalizer}
	}
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{
			Name:        volumeName(claim),
			Annotations: map[string]string{provisionedBy: Driver},
			Finalizers:  finalizers,
		},
		Spec: corev1.PersistentVolumeSpec{
			AccessModes:                   claim.Spec.AccessModes,
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: *claim.Spec.Resources.Requests.Storage()},
			StorageClassName:              class.Name,
			PersistentVolumeReclaimPolicy: *class.ReclaimPolicy,
			VolumeMode:                    &mode,
			ClaimRef:                      referenceTo(claim),
			NodeAffinity:                  topology(claim, class),
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				CSI: &corev1.CSIPersistentVolumeSource{Driver: Driver, VolumeHandle: volumeName(claim)},
			},
		},
	}
}

// topology ties a volume of a late-binding class to the node of its first consumer, as drivers do whose volumes are local
// to a node or zone.
func topology(claim *corev1.PersistentVolumeClaim, class *storagev1.StorageClass) *corev1.VolumeNodeAffinity {
	if class.VolumeBindingMode == nil || *class.VolumeBindingMode != storagev1.VolumeBindingWaitForFirstConsumer {
		return nil
	}
	return &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
		MatchExpressions: []corev1.NodeSelectorRequirement{{
			Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{claim.Annotations[selectedNodeAnnotation]},
		}},
	}}}}
}

func isBlock(claim *corev1.PersistentVolumeClaim) bool {
	return claim.Spec.VolumeMode != nil && *claim.Spec.VolumeMode == corev1.PersistentVolumeBlock
}

// rpcError words a failure of the storage as a CSI driver would.
func rpcError(err error) error {
	code := "Internal"
	if errors.Is(err, storage.ErrNotFound) {
		code = "NotFound"
	}
	return fmt.Errorf("rpc error: code = %s desc = %w", code, err)
}
