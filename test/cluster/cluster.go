// Package cluster plays, for tests against a bare kube-apiserver, what the rest of a cluster does about a DataUpload:
// Velero, the snapshot controller and the CSI sidecars, the provisioner, the scheduler and the kubelet. Each does one
// step when it is told to, so that a test decides what happens in which order. Whatever fails here fails the spec.
package cluster

import (
	"context"
	"maps"
	"sync"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
)

// What Install makes.
const (
	// Velero is the namespace of Velero, Shop that of the volumes which are backed up.
	Velero = "velero"
	Shop   = "shop"
	// Node is the only node.
	Node = "node-1"
	// FastClass, CopyClass and BriefClass bind at once, LateClass with the first consumer. Volumes of BriefClass go with their
	// claims, those of all others are retained.
	FastClass  = "fast"
	CopyClass  = "copy"
	BriefClass = "brief"
	LateClass  = "late"
	// Location is the BackupStorageLocation of all DataUploads; the test makes it.
	Location = "default"
	// Driver is the CSI driver of all volumes.
	Driver = "csi.example.com"
)

// Finalizer stands for those of the snapshot controller and the CSI snapshotter.
const Finalizer = "test.example.com/in-use"

// Cluster is a cluster of which only the API server is real.
type Cluster struct {
	// Client reads and writes the API server.
	Client client.Client

	mutex   sync.Mutex
	deleted map[string]int
}

// New returns the rest of the cluster of an API server.
func New(c client.Client) *Cluster {
	return &Cluster{Client: c, deleted: map[string]int{}}
}

// Deleted returns how often the storage has deleted each snapshot, by its handle.
func (c *Cluster) Deleted() map[string]int {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return maps.Clone(c.deleted)
}

func (c *Cluster) deleteStorageSnapshot(handle string) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.deleted[handle]++
}

// Install makes what a cluster with Velero has before the first DataUpload, but for the BackupStorageLocation.
func (c *Cluster) Install(ctx context.Context) {
	for _, name := range []string{Velero, Shop} {
		Expect(c.Client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})).To(Succeed())
	}
	Expect(c.Client.Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: Velero, Name: "velero"}})).To(Succeed())
	Expect(c.Client.Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: Node}})).To(Succeed())
	c.installClasses(ctx)
	labels := map[string]string{"name": "node-agent"}
	Expect(c.Client.Create(ctx, &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: Velero, Name: "node-agent"},
		Spec: appsv1.DaemonSetSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{
					ServiceAccountName: "velero",
					Containers:         []corev1.Container{{Name: "node-agent", Image: "node-agent:test"}},
				},
			},
		},
	})).To(Succeed())
}

func (c *Cluster) installClasses(ctx context.Context) {
	for name, mode := range map[string]storagev1.VolumeBindingMode{
		FastClass:  storagev1.VolumeBindingImmediate,
		CopyClass:  storagev1.VolumeBindingImmediate,
		BriefClass: storagev1.VolumeBindingImmediate,
		LateClass:  storagev1.VolumeBindingWaitForFirstConsumer,
	} {
		policy := corev1.PersistentVolumeReclaimRetain
		if name == BriefClass {
			policy = corev1.PersistentVolumeReclaimDelete
		}
		Expect(c.Client.Create(ctx, &storagev1.StorageClass{
			ObjectMeta: metav1.ObjectMeta{Name: name}, Provisioner: Driver, VolumeBindingMode: &mode, ReclaimPolicy: &policy,
		})).To(Succeed())
	}
}

// ReadyRepository does what the Velero server does about the BackupRepository of a namespace.
func (c *Cluster) ReadyRepository(ctx context.Context) {
	name := Shop + "-" + Location + "-" + velerov1.RepositoryTypeKopia
	repository := &velerov1.BackupRepository{
		ObjectMeta: metav1.ObjectMeta{Namespace: Velero, Name: name, Labels: map[string]string{
			velerov1.VolumeNamespaceLabel: Shop,
			velerov1.StorageLocationLabel: Location,
			velerov1.RepositoryTypeLabel:  velerov1.RepositoryTypeKopia,
		}},
		Spec: velerov1.BackupRepositorySpec{
			VolumeNamespace: Shop, BackupStorageLocation: Location, RepositoryType: velerov1.RepositoryTypeKopia,
		},
	}
	Expect(client.IgnoreAlreadyExists(c.Client.Create(ctx, repository))).To(Succeed())
	Expect(c.Client.Get(ctx, client.ObjectKeyFromObject(repository), repository)).To(Succeed())
	repository.Status = velerov1.BackupRepositoryStatus{Phase: velerov1.BackupRepositoryPhaseReady}
	Expect(c.Client.Update(ctx, repository)).To(Succeed())
}

// Release lets an object go that is being deleted: it takes all finalizers away.
func (c *Cluster) Release(ctx context.Context, obj client.Object) {
	before := obj.DeepCopyObject().(client.Object)
	obj.SetFinalizers(nil)
	Expect(client.IgnoreNotFound(c.Client.Patch(ctx, obj, client.MergeFrom(before)))).To(Succeed())
}

// found reads an object; false if there is none.
func (c *Cluster) found(ctx context.Context, key client.ObjectKey, obj client.Object) bool {
	err := c.Client.Get(ctx, key, obj)
	Expect(client.IgnoreNotFound(err)).To(Succeed())
	return err == nil
}
