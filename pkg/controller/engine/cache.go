package engine

import (
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/expose"
)

// CacheOptions limit what the cache holds to what the engines watch: Velero's namespace, and of cluster-scoped
// objects those that carry our label, and of Nodes what decisions are made from. VolumeSnapshots alone are watched in all
// namespaces, because sources are there.
func CacheOptions(namespace string) cache.Options {
	inNamespace := map[string]cache.Config{namespace: {}}
	return cache.Options{
		DefaultTransform: cache.TransformStripManagedFields(),
		ByObject: map[client.Object]cache.ByObject{
			&v2alpha1.DataUpload{}:              {Namespaces: inNamespace},
			&v2alpha1.DataDownload{}:            {Namespaces: inNamespace},
			&velerov1.BackupRepository{}:        {Namespaces: inNamespace},
			&velerov1.BackupStorageLocation{}:   {Namespaces: inNamespace},
			&corev1.Pod{}:                       {Namespaces: inNamespace, Label: having(v2alpha1.ExposerPodGroupLabel)},
			&corev1.PersistentVolumeClaim{}:     {Namespaces: inNamespace},
			&corev1.Event{}:                     {Namespaces: inNamespace, Field: tellingEvents()},
			&corev1.Node{}:                      {Transform: nodeFacts},
			&corev1.PersistentVolume{}:          {Label: having(expose.OwnerUIDLabel)},
			&snapshotv1.VolumeSnapshotContent{}: {Label: having(expose.OwnerUIDLabel)},
		},
	}
}

// smoothEvents are the reasons of Events that every pod and PVC gets on its way.
var smoothEvents = []string{
	"Scheduled", "Pulling", "Pulled", "Created", "Started", "Killing", "SuccessfulAttachVolume",
	"ExternalProvisioning", "Provisioning", "ProvisioningSucceeded", "WaitForFirstConsumer", "WaitForPodScheduled",
}

// tellingEvents selects Events that may say why something takes long. Warnings alone are not enough: what the cluster
// autoscaler does about a pod is Normal. Our own, about DataUploads and DataDownloads, need no reading.
func tellingEvents() fields.Selector {
	selectors := []fields.Selector{
		fields.OneTermNotEqualSelector("involvedObject.kind", v2alpha1.KindDataUpload),
		fields.OneTermNotEqualSelector("involvedObject.kind", v2alpha1.KindDataDownload),
	}
	for _, reason := range smoothEvents {
		selectors = append(selectors, fields.OneTermNotEqualSelector("reason", reason))
	}
	return fields.AndSelectors(selectors...)
}

func having(label string) labels.Selector {
	requirement, err := labels.NewRequirement(label, selection.Exists, nil)
	if err != nil {
		panic(err) // a constant of this program is not a label
	}
	return labels.NewSelector().Add(*requirement)
}
