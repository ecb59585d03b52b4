package expose_test

import (
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/expose"
)

func TestExpose(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Expose")
}

const uid = "6a9b2c1d-0000-4000-8000-000000000001"

func dataUpload() *v2alpha1.DataUpload {
	return &v2alpha1.DataUpload{
		ObjectMeta: metav1.ObjectMeta{Namespace: "velero", Name: "backup-1-x7k2p", UID: uid},
		Spec: v2alpha1.DataUploadSpec{
			SnapshotType:    v2alpha1.SnapshotTypeCSI,
			SourceNamespace: "shop",
			SourcePVC:       "data",
			CSISnapshot: &v2alpha1.CSISnapshotSpec{
				VolumeSnapshot: "velero-data-1", StorageClass: "fast", SnapshotClass: "snapshots", Driver: "csi.example.com",
			},
			BackupStorageLocation: "default",
			OperationTimeout:      metav1.Duration{Duration: 10 * time.Minute},
		},
	}
}

func volumeOf(mode corev1.PersistentVolumeMode) expose.Volume {
	return expose.Volume{Mode: mode, Size: resource.MustParse("5Gi"), StorageClass: "fast"}
}
