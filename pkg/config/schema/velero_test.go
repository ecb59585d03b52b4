package schema_test

import (
	"encoding/json"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// veleroConfigs is the shape into which Velero, from the release after 1.18 on, reads the ConfigMap with encoding/json, in `velero install` and in its agent.
type veleroConfigs struct {
	LoadConcurrency *struct {
		GlobalConfig  int
		PerNodeConfig []struct {
			NodeSelector metav1.LabelSelector
			Number       int
		}
		PrepareQueueLength int
	}
	LoadAffinity []*struct {
		NodeSelector metav1.LabelSelector
		StorageClass string
	}
	BackupPVC map[string]struct {
		StorageClass              string
		ReadOnly, SPCNoRelabeling bool
		ReadWriteOncePod          bool
		Annotations               map[string]string
		SecretNames               []string
		ConfigMapNames            []string
	}
	RestorePVC *struct {
		IgnoreDelayBinding          bool
		SecretNames, ConfigMapNames []string
	}
	PodResources *struct {
		CPURequest, MemoryRequest, EphemeralStorageRequest string
		CPULimit, MemoryLimit, EphemeralStorageLimit       string
	}
	PriorityClassName  string
	PrivilegedFsBackup bool
	CachePVC           *struct {
		StorageClass          string
		ResidentThresholdInMB int64
	}
	PodAnnotations, PodLabels         map[string]string
	Tolerations                       []corev1.Toleration
	CSISnapshotMetadataServiceConfigs *struct{ SAName string }
}

var _ = It("accepts as JSON what Velero reads too", func() {
	files, err := filepath.Glob("testdata/valid/*.json")
	Expect(err).NotTo(HaveOccurred())
	Expect(files).NotTo(BeEmpty())
	for _, file := range files {
		// A byte order mark is what Velero stumbles over; `config check` says so.
		if text := read(file); json.Valid(text) {
			Expect(json.Unmarshal(text, &veleroConfigs{})).To(Succeed(), file)
		}
	}
})
