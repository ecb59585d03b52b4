package integration

import (
	"context"
	"sync"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/node-agent/node-agent/pkg/expose"
)

// finalizer stands for those of the snapshot controller and the CSI snapshotter.
const finalizer = "test.example.com/in-use"

// storage remembers how often each storage snapshot was deleted.
var storage = struct {
	sync.Mutex
	deleted map[string]int
}{deleted: map[string]int{}}

func handleOf(name string) string { return "handle-" + name }

// makeSource makes what Velero's backup leaves: a source PVC with its PV, and a VolumeSnapshot of it that is ready.
func (t *trial) makeSource(ctx context.Context) {
	name := t.name
	Expect(live.Create(ctx, &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: "source-" + name},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:    corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("3Gi")},
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				CSI: &corev1.CSIPersistentVolumeSource{Driver: "csi.example.com", VolumeHandle: name},
			},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "zone", Operator: corev1.NodeSelectorOpIn, Values: []string{"z1"}}},
			}}}},
		},
	})).To(Succeed())
	Expect(live.Create(ctx, &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			StorageClassName: &t.class,
			VolumeMode:       &t.mode,
			VolumeName:       "source-" + name,
			Resources: corev1.VolumeResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("3Gi")},
			},
		},
	})).To(Succeed())
	snapshot := &snapshotv1.VolumeSnapshot{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "velero-" + name, Finalizers: []string{finalizer}},
		Spec: snapshotv1.VolumeSnapshotSpec{
			Source:                  snapshotv1.VolumeSnapshotSource{PersistentVolumeClaimName: &name},
			VolumeSnapshotClassName: new("snapshots"),
		},
	}
	Expect(live.Create(ctx, snapshot)).To(Succeed())
	content := &snapshotv1.VolumeSnapshotContent{
		ObjectMeta: metav1.ObjectMeta{Name: "snapcontent-" + name, Finalizers: []string{finalizer}},
		Spec: snapshotv1.VolumeSnapshotContentSpec{
			Driver: "csi.example.com", DeletionPolicy: t.policy, VolumeSnapshotClassName: new("snapshots"),
			Source:            snapshotv1.VolumeSnapshotContentSource{VolumeHandle: &name},
			VolumeSnapshotRef: corev1.ObjectReference{Namespace: "shop", Name: snapshot.Name, UID: snapshot.UID},
		},
	}
	Expect(live.Create(ctx, content)).To(Succeed())
	content.Status = &snapshotv1.VolumeSnapshotContentStatus{SnapshotHandle: new(handleOf(name)), ReadyToUse: new(true)}
	Expect(live.Status().Update(ctx, content)).To(Succeed())
	snapshot.Status = &snapshotv1.VolumeSnapshotStatus{
		BoundVolumeSnapshotContentName: &content.Name, ReadyToUse: new(true), RestoreSize: new(resource.MustParse("3Gi")),
	}
	Expect(live.Status().Update(ctx, snapshot)).To(Succeed())
}

// bindAlias does what the snapshot controller does with the alias pair.
func (t *trial) bindAlias(ctx context.Context) {
	snapshot, content := t.aliasPair(ctx)
	Expect(content).NotTo(BeNil())
	Expect(snapshot).NotTo(BeNil())
	Expect(content.Spec.VolumeSnapshotRef.Namespace).To(Equal(velero))
	content.Spec.VolumeSnapshotRef.UID = snapshot.UID
	controllerutil.AddFinalizer(content, finalizer)
	Expect(live.Update(ctx, content)).To(Succeed())
	controllerutil.AddFinalizer(snapshot, finalizer)
	Expect(live.Update(ctx, snapshot)).To(Succeed())
	snapshot.Status = &snapshotv1.VolumeSnapshotStatus{
		BoundVolumeSnapshotContentName: &content.Name, ReadyToUse: new(true), RestoreSize: new(resource.MustParse("3Gi")),
	}
	Expect(live.Status().Update(ctx, snapshot)).To(Succeed())
}

// aliasPair reads the alias; what is missing is nil.
func (t *trial) aliasPair(ctx context.Context) (*snapshotv1.VolumeSnapshot, *snapshotv1.VolumeSnapshotContent) {
	snapshot, content := &snapshotv1.VolumeSnapshot{}, &snapshotv1.VolumeSnapshotContent{}
	if live.Get(ctx, t.key(), snapshot) != nil {
		snapshot = nil
	}
	if live.Get(ctx, client.ObjectKey{Name: t.name}, content) != nil {
		content = nil
	}
	return snapshot, content
}

// provision does what a CSI provisioner does for the backupPVC.
func (t *trial) provision(ctx context.Context) {
	pvc := &corev1.PersistentVolumeClaim{}
	Expect(live.Get(ctx, t.key(), pvc)).To(Succeed())
	pv := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: "pvc-" + string(pvc.UID)},
		Spec: corev1.PersistentVolumeSpec{
			Capacity: pvc.Spec.Resources.Requests, AccessModes: pvc.Spec.AccessModes, VolumeMode: pvc.Spec.VolumeMode,
			StorageClassName:              *pvc.Spec.StorageClassName,
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain, // as the class says; the backupPVC's must go all the same
			ClaimRef:                      &corev1.ObjectReference{Namespace: velero, Name: pvc.Name, UID: pvc.UID},
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				CSI: &corev1.CSIPersistentVolumeSource{Driver: "csi.example.com", VolumeHandle: "copy-" + t.name},
			},
		},
	}
	Expect(live.Create(ctx, pv)).To(Succeed())
	pvc.Spec.VolumeName = pv.Name
	Expect(live.Update(ctx, pvc)).To(Succeed())
	pvc.Status = corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound, AccessModes: pvc.Spec.AccessModes, Capacity: pv.Spec.Capacity}
	Expect(live.Status().Update(ctx, pvc)).To(Succeed())
}

// runPod does what scheduler and kubelet do.
func (t *trial) runPod(ctx context.Context) { t.runPodOn(ctx, nodeName) }

func (t *trial) runPodOn(ctx context.Context, node string) {
	pod := &corev1.Pod{}
	Expect(live.Get(ctx, t.key(), pod)).To(Succeed())
	binding := &corev1.Binding{Target: corev1.ObjectReference{Kind: "Node", Name: node}}
	Expect(live.SubResource("binding").Create(ctx, pod, binding)).To(Succeed())
	t.podStatus(ctx, func(status *corev1.PodStatus) { status.Phase = corev1.PodRunning })
}

// endPod lets the mover end with a termination message.
func (t *trial) endPod(ctx context.Context, phase corev1.PodPhase, message string) {
	t.podStatus(ctx, func(status *corev1.PodStatus) {
		code, reason := int32(0), "Completed"
		if phase == corev1.PodFailed {
			code, reason = 1, "Error"
		}
		status.Phase = phase
		status.ContainerStatuses = []corev1.ContainerStatus{{
			Name: string(t.upload(ctx).UID), State: corev1.ContainerState{
				Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason, Message: message},
			},
		}}
	})
}

func (t *trial) podStatus(ctx context.Context, change func(*corev1.PodStatus)) {
	pod := &corev1.Pod{}
	Expect(live.Get(ctx, t.key(), pod)).To(Succeed())
	change(&pod.Status)
	Expect(live.Status().Update(ctx, pod)).To(Succeed())
}

// collect does what the cluster's controllers do about objects that are being deleted. It tells whether it did anything.
func (t *trial) collect(ctx context.Context) bool {
	did := false
	pod := &corev1.Pod{}
	if live.Get(ctx, t.key(), pod) == nil && !pod.DeletionTimestamp.IsZero() {
		Expect(client.IgnoreNotFound(live.Delete(ctx, pod, client.GracePeriodSeconds(0)))).To(Succeed())
		did = true
	}
	pvc := &corev1.PersistentVolumeClaim{}
	if live.Get(ctx, t.key(), pvc) == nil && !pvc.DeletionTimestamp.IsZero() && !t.isMounted(ctx) {
		t.collectPV(ctx, pvc.Spec.VolumeName)
		release(ctx, pvc)
		did = true
	}
	for _, key := range []client.ObjectKey{t.key(), {Namespace: "shop", Name: "velero-" + t.name}} {
		did = collectSnapshot(ctx, key) || did
	}
	for _, name := range []string{t.name, "snapcontent-" + t.name} {
		did = collectContent(ctx, name) || did
	}
	return did
}

// collectPV deletes a released volume if its reclaim policy says so.
func (t *trial) collectPV(ctx context.Context, name string) {
	pv := &corev1.PersistentVolume{}
	if name == "" || live.Get(ctx, client.ObjectKey{Name: name}, pv) != nil {
		return
	}
	if pv.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete {
		Expect(live.Delete(ctx, pv)).To(Succeed())
		Expect(live.Get(ctx, client.ObjectKey{Name: name}, pv)).To(Succeed())
		release(ctx, pv)
	}
}

// collectSnapshot does what the snapshot controller does: content with policy Delete goes first.
func collectSnapshot(ctx context.Context, key client.ObjectKey) bool {
	snapshot := &snapshotv1.VolumeSnapshot{}
	if live.Get(ctx, key, snapshot) != nil || snapshot.DeletionTimestamp.IsZero() {
		return false
	}
	content := &snapshotv1.VolumeSnapshotContent{}
	name := expose.BoundContent(snapshot)
	if name != "" && live.Get(ctx, client.ObjectKey{Name: name}, content) == nil &&
		content.Spec.DeletionPolicy == snapshotv1.VolumeSnapshotContentDelete {
		metav1.SetMetaDataAnnotation(&content.ObjectMeta, expose.BeingDeletedAnnotation, "yes")
		Expect(live.Update(ctx, content)).To(Succeed())
		Expect(live.Delete(ctx, content)).To(Succeed())
		collectContent(ctx, name)
	}
	release(ctx, snapshot)
	return true
}

// collectContent does what the CSI snapshotter does: with policy Delete the storage snapshot goes too.
func collectContent(ctx context.Context, name string) bool {
	content := &snapshotv1.VolumeSnapshotContent{}
	if live.Get(ctx, client.ObjectKey{Name: name}, content) != nil || content.DeletionTimestamp.IsZero() {
		return false
	}
	unbound := content.Spec.VolumeSnapshotRef.UID == ""
	if content.Spec.DeletionPolicy == snapshotv1.VolumeSnapshotContentDelete &&
		(unbound || content.Annotations[expose.BeingDeletedAnnotation] != "") {
		handle := content.Spec.Source.SnapshotHandle
		if handle == nil {
			handle = content.Status.SnapshotHandle
		}
		storage.Lock()
		storage.deleted[*handle]++
		storage.Unlock()
	}
	release(ctx, content)
	return true
}

func release(ctx context.Context, obj client.Object) {
	before := obj.DeepCopyObject().(client.Object)
	obj.SetFinalizers(nil)
	Expect(client.IgnoreNotFound(live.Patch(ctx, obj, client.MergeFrom(before)))).To(Succeed())
}

// isMounted tells whether the backup pod still holds the backupPVC.
func (t *trial) isMounted(ctx context.Context) bool {
	pod := &corev1.Pod{}
	return live.Get(ctx, t.key(), pod) == nil && len(pod.OwnerReferences) > 0
}
