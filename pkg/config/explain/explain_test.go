package explain_test

import (
	"fmt"
	"strings"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/node-agent/node-agent/pkg/config/check"
	"github.com/node-agent/node-agent/pkg/config/explain"
	"github.com/node-agent/node-agent/pkg/config/schema"
)

const many = `
backupPVC:
  gold: {storageClass: silver, readOnly: true, spcNoRelabeling: true, annotations: {b: "2", a: "1"}, secretNames: [key], configMapNames: [kms]}
  gone: {storageClass: lost, readWriteOncePod: true}
loadAffinity:
  - nodeSelector: {matchLabels: {disk: fast}}
    storageClass: silver
loadConcurrency:
  globalConfig: 2
  prepareQueueLength: 20
  perNodeConfig:
    - {nodeSelector: {matchLabels: {big: "yes"}}, number: 8}
    - {nodeSelector: {matchLabels: {old: "yes"}}, number: 1}
podResources: {cpuRequest: 500m, memoryLimit: 1Gi}
priorityClassName: low
podLabels: {team: storage}
podAnnotations: {note: x}
restorePVC: {ignoreDelayBinding: true, secretNames: [key], configMapNames: [kms]}
cachePVC: {storageClass: silver, thresholdInGB: 2}
privilegedFsBackup: true
`

func explained(text string, cluster *check.Cluster) string {
	GinkgoHelper()
	cfg, err := schema.Decoder{}.Decode("f", []byte(text))
	Expect(err).NotTo(HaveOccurred())
	return explain.Text("f", cfg, cluster)
}

func cluster() *check.Cluster {
	class := func(name, provisioner string) storagev1.StorageClass {
		return storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Provisioner: provisioner}
	}
	c := &check.Cluster{
		StorageClasses:  []storagev1.StorageClass{class("gold", "csi.example.com"), class("local", "local.example.com"), class("silver", "csi.example.com")},
		SnapshotClasses: []snapshotv1.VolumeSnapshotClass{{Driver: "csi.example.com"}},
		Unread:          map[string]string{},
	}
	for i := range 8 {
		node := corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("node-%d", i+1), Labels: map[string]string{"disk": "fast"}}}
		switch i {
		case 0:
			node.Labels["big"] = "yes"
		case 1:
			node.Labels = map[string]string{"big": "yes", "old": "yes"}
		}
		c.Nodes = append(c.Nodes, node)
	}
	return c
}

var _ = Describe("the explanation", func() {
	It("says what the text says where no cluster is at hand", func() {
		Expect(explained(many, nil)).To(Equal(`Configuration of f

Volumes of storage class gold
  backupPVC    class silver
  access mode  ReadOnlyMany, mounted read-only
  SELinux      type spc_t, the volume is not relabelled
  annotations  a="1", b="2"
  secrets      key
  configMaps   kms
  nodes        those with disk=fast

Volumes of storage class gone
  backupPVC    class lost
  access mode  ReadWriteOncePod
  SELinux      the label is an option of the mount, where the driver supports it
  nodes        any

Volumes of any other storage class
  backupPVC    the class of the volume
  access mode  ReadWriteOnce
  nodes        any
               but those with disk=fast if the backupPVC is of class silver

Restores
  restorePVC   the class of the target PVC; at once, also if that binds late
  secrets      key
  configMaps   kms
  cachePVC     class silver; for backups of 2048 MiB and more
  nodes        any
               but those with disk=fast if the target PVC is of class silver

Backup and restore pods
  resources    requests cpu=500m, limits memory=1Gi
  priority     low
  labels       team="storage"
  annotations  note="x"

Volumes moved at a time
  8   on each node with big=yes
  1   on each node with old=yes
  2   on each other node
  If several of these are for a node, the smallest number counts.
  At most 20 DataUploads and DataDownloads in preparation, in the whole cluster.
  Restores first.

Without effect: privilegedFsBackup
`))
	})

	It("names the classes and nodes of a cluster", func() {
		Expect(explained(many, cluster())).To(Equal(`Configuration of f

Volumes of storage class gold
  backupPVC    class silver: provisioner csi.example.com, reclaim policy Delete, binding mode Immediate
  access mode  ReadOnlyMany, mounted read-only
  SELinux      type spc_t, the volume is not relabelled
  annotations  a="1", b="2"
  secrets      key
  configMaps   kms
  nodes        those with disk=fast: 7 of 8 (node-1, node-3, node-4, node-5, node-6, and 2 more)

Volumes of storage class local
  no backup    there is no VolumeSnapshotClass for driver local.example.com

Volumes of storage class silver
  backupPVC    class silver: provisioner csi.example.com, reclaim policy Delete, binding mode Immediate
  access mode  ReadWriteOnce
  nodes        those with disk=fast: 7 of 8 (node-1, node-3, node-4, node-5, node-6, and 2 more)

Not in this cluster: storage class gone

Restores
  restorePVC   the class of the target PVC; at once, also if that binds late
  secrets      key
  configMaps   kms
  cachePVC     class silver: provisioner csi.example.com, reclaim policy Delete, binding mode Immediate; for backups of 2048 MiB and more
  nodes        any
               but those with disk=fast if the target PVC is of class silver

Backup and restore pods
  resources    requests cpu=500m, limits memory=1Gi
  priority     low
  labels       team="storage"
  annotations  note="x"

Volumes moved at a time
  8   on node node-1
  1   on node node-2
  2   on node node-3
  2   on node node-4
  2   on node node-5
  2   on node node-6
  2   on node node-7
  2   on node node-8
  At most 20 DataUploads and DataDownloads in preparation, in the whole cluster.
  Restores first.

Without effect: privilegedFsBackup
`))
	})

	It("keeps what is for volumes without a class from those of any other class", func() {
		const text = "backupPVC: {\"\": {storageClass: silver, readOnly: true}}\n"
		Expect(explained(text, nil)).To(ContainSubstring("Volumes without a storage class\n  backupPVC    class silver\n" +
			"  access mode  ReadOnlyMany, mounted read-only\n  nodes        any\n\n" +
			"Volumes of any other storage class\n  backupPVC    the class of the volume\n  access mode  ReadWriteOnce\n"))
		Expect(explained(text, cluster())).To(And(
			ContainSubstring("Volumes without a storage class\n  backupPVC    class silver: provisioner csi.example.com"),
			Not(ContainSubstring("Not in this cluster"))))
	})

	It("explains the defaults", func() {
		Expect(explained("{}", nil)).To(Equal(`Configuration of f

Volumes of any storage class
  backupPVC    the class of the volume
  access mode  ReadWriteOnce
  nodes        any

Restores
  restorePVC   the class of the target PVC; if that binds late, when a pod uses the target PVC
  cachePVC     none, the cache is in the pod
  nodes        any

Backup and restore pods
  resources    no requests and no limits

Volumes moved at a time
  1   on each node
  Any number of DataUploads and DataDownloads in preparation.
  Restores first.
`))
	})

	It("does without what it may not read", func() {
		text := explained(many, &check.Cluster{Unread: map[string]string{"nodes": "forbidden"}})
		Expect(text).To(ContainSubstring("  8   on each node with big=yes\n"))
		Expect(text).To(ContainSubstring("Volumes of storage class gone\n"))
		Expect(text).To(HaveSuffix("\nWithout the cluster's nodes: forbidden\n"))
	})

	It("says when the class of the backupPVC, or a node for it, is missing", func() {
		text := explained("backupPVC: {gold: {storageClass: lost}}\nloadAffinity: [{nodeSelector: {matchLabels: {disk: tape}}}]\n", cluster())
		Expect(text).To(ContainSubstring("backupPVC    class lost, which does not exist"))
		Expect(text).To(ContainSubstring("nodes        those with disk=tape: 0 of 8 (none)"))
		Expect(strings.Count(text, "Volumes of storage class")).To(Equal(3))
	})
})
