package expose

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
)

// snapshotInfoLabel marks the ConfigMaps that SnapshotInfo builds.
const snapshotInfoLabel = "velero.io/data-upload-snapshot-info"

// SnapshotInfo builds the ConfigMap that lets Velero delete a snapshot from the repository, if it is there, together with
// the backup that the DataUpload belongs to. Velero's server makes the same one for a DataUpload whose status names its
// snapshot, but only when the backup is deleted. It belongs to the backup, and outlives the DataUpload.
func SnapshotInfo(du *v2alpha1.DataUpload, snapshotID string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: du.Namespace,
			Name:      SnapshotInfoName(du.Name),
			Labels: map[string]string{
				v2alpha1.BackupNameLabel: du.Labels[v2alpha1.BackupNameLabel],
				snapshotInfoLabel:        "true",
				excludeFromBackupLabel:   "true",
			},
			OwnerReferences: slices.Clone(du.OwnerReferences),
		},
		Data: map[string]string{
			"volumeNamespace":       du.Spec.SourceNamespace,
			"backupStorageLocation": du.Spec.BackupStorageLocation,
			"snapshotID":            snapshotID,
			"repositoryType":        velerov1.RepositoryTypeKopia,
			"source":                du.Spec.SourceNamespace + "/" + du.Spec.SourcePVC,
			"uploaderType":          velerov1.RepositoryTypeKopia,
			"repoIdentifier":        "",
		},
	}
}
