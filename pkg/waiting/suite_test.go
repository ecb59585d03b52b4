package waiting_test

import (
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/config"
	"github.com/node-agent/node-agent/pkg/expose"
)

func TestWaiting(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Waiting")
}

const uid = "6a9b2c1d-0000-4000-8000-000000000001"

// backup is what is made for a DataUpload: its backupPVC and backup pod.
func backup(section config.BackupPVC) (*corev1.PersistentVolumeClaim, *corev1.Pod) {
	du := &v2alpha1.DataUpload{
		ObjectMeta: metav1.ObjectMeta{Namespace: "velero", Name: "backup-1-x7k2p", UID: uid},
		Spec:       v2alpha1.DataUploadSpec{SourceNamespace: "shop", SourcePVC: "data"},
	}
	volume := expose.Volume{Mode: corev1.PersistentVolumeFilesystem, Size: resource.MustParse("5Gi"), StorageClass: "fast"}
	return expose.BackupPVC(du, section, volume),
		expose.BackupPod(du, config.Upload{BackupPVC: section}, volume, expose.AgentTemplate{Image: "registry/agent:v1"})
}
