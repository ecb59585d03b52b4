package check

import (
	"context"
	"fmt"
	"maps"
	"slices"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
)

// Names of kinds as messages have them.
const (
	namespaces      = "namespace"
	storageClasses  = "storage classes"
	snapshotClasses = "volume snapshot classes"
	drivers         = "CSI drivers"
	priorityClasses = "priority classes"
	nodes           = "nodes"
	quotas          = "resource quotas"
	limitRanges     = "limit ranges"
	claims          = "persistent volume claims"
	locations       = "backup storage locations"
)

// Cluster is what matters of a cluster to a configuration.
type Cluster struct {
	// Namespace is Velero's.
	Namespace       corev1.Namespace
	StorageClasses  []storagev1.StorageClass
	SnapshotClasses []snapshotv1.VolumeSnapshotClass
	Drivers         []storagev1.CSIDriver
	PriorityClasses []schedulingv1.PriorityClass
	// Nodes are all but those of Windows, where no backup pod runs.
	Nodes []corev1.Node
	// Quotas and LimitRanges are those of Namespace.
	Quotas      []corev1.ResourceQuota
	LimitRanges []corev1.LimitRange
	// Claims are the PVCs of all other namespaces.
	Claims []corev1.PersistentVolumeClaim
	// Locations are those of Namespace.
	Locations []velerov1.BackupStorageLocation

	// Unread tells for each kind that may not be read why.
	Unread map[string]string
}

// Read reads what matters. What the user may not read is noted in Unread and is no error.
func Read(ctx context.Context, reader client.Reader, namespace string) (*Cluster, error) {
	c := &Cluster{Unread: map[string]string{}}
	if err := c.tolerate(namespaces, reader.Get(ctx, client.ObjectKey{Name: namespace}, &c.Namespace)); err != nil {
		return nil, err
	}
	var (
		storage    storagev1.StorageClassList
		snapshots  snapshotv1.VolumeSnapshotClassList
		csiDrivers storagev1.CSIDriverList
		priorities schedulingv1.PriorityClassList
		allNodes   corev1.NodeList
		quota      corev1.ResourceQuotaList
		limits     corev1.LimitRangeList
		allClaims  corev1.PersistentVolumeClaimList
		stores     velerov1.BackupStorageLocationList
	)
	inNamespace := client.InNamespace(namespace)
	for _, kind := range []struct {
		name    string
		list    client.ObjectList
		options []client.ListOption
	}{
		{storageClasses, &storage, nil}, {snapshotClasses, &snapshots, nil}, {drivers, &csiDrivers, nil},
		{priorityClasses, &priorities, nil}, {nodes, &allNodes, nil},
		{quotas, &quota, []client.ListOption{inNamespace}}, {limitRanges, &limits, []client.ListOption{inNamespace}},
		{claims, &allClaims, nil}, {locations, &stores, []client.ListOption{inNamespace}},
	} {
		if err := c.tolerate(kind.name, reader.List(ctx, kind.list, kind.options...)); err != nil {
			return nil, err
		}
	}
	c.StorageClasses, c.SnapshotClasses, c.Drivers = storage.Items, snapshots.Items, csiDrivers.Items
	c.PriorityClasses, c.Quotas, c.LimitRanges = priorities.Items, quota.Items, limits.Items
	c.Locations = stores.Items
	c.Nodes = slices.DeleteFunc(allNodes.Items, func(node corev1.Node) bool {
		return node.Labels[corev1.LabelOSStable] == string(corev1.Windows)
	})
	c.Claims = slices.DeleteFunc(allClaims.Items, func(claim corev1.PersistentVolumeClaim) bool { return claim.Namespace == namespace })
	return c, nil
}

// tolerate notes that a kind may not be read, or is not served, and returns any other error.
func (c *Cluster) tolerate(kind string, err error) error {
	switch {
	case err == nil:
		return nil
	case apierrors.IsForbidden(err), apierrors.IsNotFound(err), meta.IsNoMatchError(err):
		c.Unread[kind] = err.Error()
		return nil
	default:
		return fmt.Errorf("reading the cluster's %s: %w", kind, err)
	}
}

func (c *Cluster) unreadKinds() []string {
	return slices.Sorted(maps.Keys(c.Unread))
}

// has tells whether a kind could be read.
func (c *Cluster) has(kind string) bool {
	_, unread := c.Unread[kind]
	return !unread
}

// StorageClass returns the class of a name, or nil.
func (c *Cluster) StorageClass(name string) *storagev1.StorageClass {
	i := slices.IndexFunc(c.StorageClasses, func(class storagev1.StorageClass) bool { return class.Name == name })
	if i < 0 {
		return nil
	}
	return &c.StorageClasses[i]
}

func (c *Cluster) driver(name string) *storagev1.CSIDriver {
	i := slices.IndexFunc(c.Drivers, func(driver storagev1.CSIDriver) bool { return driver.Name == name })
	if i < 0 {
		return nil
	}
	return &c.Drivers[i]
}

// CanSnapshot tells whether there is a VolumeSnapshotClass for the driver of a storage class, or whether that is not known.
func (c *Cluster) CanSnapshot(class *storagev1.StorageClass) bool {
	return !c.has(snapshotClasses) || slices.ContainsFunc(c.SnapshotClasses, func(s snapshotv1.VolumeSnapshotClass) bool {
		return s.Driver == class.Provisioner
	})
}
