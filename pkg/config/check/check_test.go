package check_test

import (
	"fmt"
	"strings"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
	"github.com/node-agent/node-agent/pkg/config/check"
	"github.com/node-agent/node-agent/pkg/config/manifest"
	"github.com/node-agent/node-agent/pkg/config/problem"
	"github.com/node-agent/node-agent/pkg/config/schema"
)

func class(name, provisioner string) storagev1.StorageClass {
	return storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Provisioner: provisioner}
}

func node(name string, labels map[string]string) corev1.Node {
	return corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
}

// cluster is one in which nothing is wrong, with changes.
func cluster(changes ...func(*check.Cluster)) *check.Cluster {
	retained := class("kept", "csi.example.com")
	retained.ReclaimPolicy = new(corev1.PersistentVolumeReclaimRetain)
	retained.VolumeBindingMode = new(storagev1.VolumeBindingWaitForFirstConsumer)
	c := &check.Cluster{
		Namespace:      corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "velero"}},
		StorageClasses: []storagev1.StorageClass{class("gold", "csi.example.com"), class("silver", "csi.example.com"), class("other", "nfs.example.com"), retained},
		SnapshotClasses: []snapshotv1.VolumeSnapshotClass{
			{ObjectMeta: metav1.ObjectMeta{Name: "snapshots"}, Driver: "csi.example.com"},
		},
		PriorityClasses: []schedulingv1.PriorityClass{{ObjectMeta: metav1.ObjectMeta{Name: "low"}, Value: -10}},
		Nodes: []corev1.Node{
			node("node-1", map[string]string{"disk": "fast"}), node("node-2", map[string]string{"disk": "slow"}), node("node-3", nil),
		},
		Unread: map[string]string{},
	}
	for _, change := range changes {
		change(c)
	}
	return c
}

// findings writes each as in "error 1:2 path: message (found) [suggestion]".
func findings(text string, c *check.Cluster) []string {
	GinkgoHelper()
	document := manifest.CheckFile(schema.Decoder{}, "f", []byte(text))
	Expect(document.Err()).NotTo(HaveOccurred())
	lines := []string{}
	for _, finding := range check.Against(document, c).Findings {
		if strings.Contains(finding.Message, "without effect") || strings.Contains(finding.Message, "JSON only") {
			continue
		}
		line := fmt.Sprintf("%s %d:%d %s: %s", finding.Level, finding.Line, finding.Column, finding.Path, finding.Message)
		if finding.Found != "" {
			line += " (" + finding.Found + ")"
		}
		if finding.Suggestion != "" {
			line += " [" + finding.Suggestion + "]"
		}
		lines = append(lines, line)
	}
	return lines
}

func enforce(level string) func(*check.Cluster) {
	return func(c *check.Cluster) {
		c.Namespace.Labels = map[string]string{"pod-security.kubernetes.io/enforce": level}
	}
}

func expectFindings(text string, c *check.Cluster, want ...string) {
	GinkgoHelper()
	Expect(findings(text, c)).To(Equal(append([]string{}, want...)))
}

var _ = DescribeTable("a configuration in a cluster", expectFindings,
	Entry("nothing to say", `{}`, cluster()),
	Entry("without a cluster", `{"backupPVC": {"gone": {}}}`, nil),

	Entry("both classes, their reclaim policy and binding mode", "backupPVC:\n  gold:\n    storageClass: kept\n", cluster(),
		"note 3:5 backupPVC.gold.storageClass: the backupPVC is of class kept: provisioner csi.example.com, reclaim policy Retain, "+
			"binding mode WaitForFirstConsumer (node-agent removes the volume all the same)"),
	Entry("the source's own class", "backupPVC: {gold: {}}\n", cluster(),
		"note 1:13 backupPVC.gold: the backupPVC is of class gold: provisioner csi.example.com, reclaim policy Delete, binding mode Immediate"),
	Entry("no backup class", "backupPVC: {gold: {storageClass: sliver}}\n", cluster(),
		`error 1:20 backupPVC.gold.storageClass: storage class sliver does not exist: DataUploads would be canceled at the prepare timeout [did you mean "silver"?]`),
	Entry("no source class", "backupPVC: {golden: {}}\n", cluster(),
		`warning 1:13 backupPVC.golden: storage class golden does not exist: no volume has these settings [did you mean "gold"?]`),
	Entry("volumes without a class", "backupPVC: {\"\": {storageClass: gold}}\n", cluster(),
		`note 1:18 backupPVC[""].storageClass: the backupPVC is of class gold: provisioner csi.example.com, reclaim policy Delete, binding mode Immediate`),
	Entry("volumes without a class, and nothing set for them", "backupPVC: {\"\": {}}\n", cluster(),
		`warning 1:13 backupPVC[""]: volumes without a storage class can be backed up only if storageClass is set here`),
	Entry("classes of two drivers", "backupPVC: {gold: {storageClass: other}}\n", cluster(),
		"error 1:20 backupPVC.gold.storageClass: a snapshot becomes a volume only with the driver that made it (class other of provisioner nfs.example.com)",
		"note 1:20 backupPVC.gold.storageClass: the backupPVC is of class other: provisioner nfs.example.com, reclaim policy Delete, binding mode Immediate"),
	Entry("no snapshot class", "backupPVC: {other: {}}\n", cluster(),
		"error 1:13 backupPVC.other: no VolumeSnapshotClass for driver nfs.example.com: its volumes cannot be snapshotted",
		"note 1:13 backupPVC.other: the backupPVC is of class other: provisioner nfs.example.com, reclaim policy Delete, binding mode Immediate"),
	Entry("classes elsewhere", "cachePVC: {storageClass: kept}\nloadAffinity:\n- nodeSelector: {}\n  storageClass: gone\n", cluster(),
		"warning 1:12 cachePVC.storageClass: Velero restores without a cache volume unless the class deletes its volumes (reclaim policy Retain)",
		"note 3:3 loadAffinity[0].nodeSelector: 3 of 3 nodes match",
		"warning 4:3 loadAffinity[0].storageClass: storage class gone does not exist: the rule is never used"),
	Entry("no class of the cache", "cachePVC: {storageClass: gone}\n", cluster(),
		"warning 1:12 cachePVC.storageClass: storage class gone does not exist: Velero restores without a cache volume"),

	Entry("how many nodes match", "loadAffinity: [{nodeSelector: {matchLabels: {disk: fast}}}]\n"+
		"loadConcurrency: {perNodeConfig: [{nodeSelector: {matchExpressions: [{key: disk, operator: Exists}]}, number: 2}]}\n", cluster(),
		"note 1:17 loadAffinity[0].nodeSelector: 1 of 3 nodes match",
		"note 2:36 loadConcurrency.perNodeConfig[0].nodeSelector: 2 of 3 nodes match"),
	Entry("no node matches", "loadAffinity: [{nodeSelector: {matchLabels: {disc: fast}}}]\n"+
		"loadConcurrency: {perNodeConfig: [{nodeSelector: {matchLabels: {disk: tape}}, number: 2}]}\n", cluster(),
		"error 1:17 loadAffinity[0].nodeSelector: no node of 3 matches: backup pods cannot be scheduled (disc=fast) [no node has label disc]",
		"warning 2:36 loadConcurrency.perNodeConfig[0].nodeSelector: no node of 3 matches: the rule is not used (disk=tape)"),

	Entry("SELinux by the label of a node", "backupPVC: {gold: {readOnly: true}}\n",
		cluster(func(c *check.Cluster) {
			c.Nodes[1].Labels["feature.node.kubernetes.io/kernel-selinux.enabled"] = "true"
		}),
		"note 1:13 backupPVC.gold: the backupPVC is of class gold: provisioner csi.example.com, reclaim policy Delete, binding mode Immediate",
		"warning 1:20 backupPVC.gold.readOnly: where SELinux is on, a read-only volume cannot be relabelled for the backup pod "+
			"(node node-2 (label feature.node.kubernetes.io/kernel-selinux.enabled)) [set spcNoRelabeling: true beside it]"),
	Entry("SELinux by the system of nodes", "backupPVC: {gold: {readOnly: true}}\n",
		cluster(func(c *check.Cluster) {
			c.Nodes[0].Status.NodeInfo.OSImage = "Red Hat Enterprise Linux CoreOS 418.94"
			c.Nodes[2].Status.NodeInfo.OSImage = "Fedora CoreOS 42"
		}),
		"note 1:13 backupPVC.gold: the backupPVC is of class gold: provisioner csi.example.com, reclaim policy Delete, binding mode Immediate",
		"warning 1:20 backupPVC.gold.readOnly: where SELinux is on, a read-only volume cannot be relabelled for the backup pod "+
			"(node node-1 (Red Hat Enterprise Linux CoreOS 418.94) and 1 more) [set spcNoRelabeling: true beside it]"),
	Entry("SELinux by the driver", "backupPVC: {gold: {readOnly: true}}\n",
		cluster(func(c *check.Cluster) {
			c.Drivers = []storagev1.CSIDriver{{
				ObjectMeta: metav1.ObjectMeta{Name: "csi.example.com"}, Spec: storagev1.CSIDriverSpec{SELinuxMount: new(true)},
			}}
		}),
		"note 1:13 backupPVC.gold: the backupPVC is of class gold: provisioner csi.example.com, reclaim policy Delete, binding mode Immediate",
		"warning 1:20 backupPVC.gold.readOnly: where SELinux is on, a read-only volume cannot be relabelled for the backup pod "+
			"(CSIDriver csi.example.com with seLinuxMount: true) [set spcNoRelabeling: true beside it]"),
	Entry("SELinux, and a driver that labels when it mounts", "backupPVC: {other: {readWriteOncePod: true, readOnly: true}, gold: {readWriteOncePod: true}}\n",
		cluster(func(c *check.Cluster) {
			c.StorageClasses, c.SnapshotClasses = c.StorageClasses[:1], nil
			c.Unread["storage classes"], c.Unread["volume snapshot classes"] = "no", "no"
			c.Drivers = []storagev1.CSIDriver{{
				ObjectMeta: metav1.ObjectMeta{Name: "csi.example.com"}, Spec: storagev1.CSIDriverSpec{SELinuxMount: new(true)},
			}}
		}),
		"warning 1:1 : not checked against the cluster's storage classes (no)",
		"warning 1:1 : not checked against the cluster's volume snapshot classes (no)",
		"warning 1:21 backupPVC.other.readWriteOncePod: ignored, because readOnly is true"),
	Entry("a driver that cannot label when it mounts", "backupPVC: {gold: {readWriteOncePod: true}}\n", cluster(),
		"note 1:13 backupPVC.gold: the backupPVC is of class gold: provisioner csi.example.com, reclaim policy Delete, binding mode Immediate",
		"warning 1:20 backupPVC.gold.readWriteOncePod: where SELinux is on, the volume is labelled file by file unless its driver can do it "+
			"when it mounts (CSIDriver csi.example.com without seLinuxMount: true)"),
	Entry("SELinux, and cared for", "backupPVC: {gold: {readOnly: true, spcNoRelabeling: true}}\n",
		cluster(func(c *check.Cluster) { c.Nodes[0].Status.NodeInfo.OSImage = "Fedora CoreOS 42" }),
		"note 1:13 backupPVC.gold: the backupPVC is of class gold: provisioner csi.example.com, reclaim policy Delete, binding mode Immediate"),
	Entry("SELinux turned off", "backupPVC: {gold: {readOnly: true}}\n",
		cluster(func(c *check.Cluster) {
			c.Nodes[0].Status.NodeInfo.OSImage = "Fedora CoreOS 42"
			c.Nodes[0].Labels["feature.node.kubernetes.io/kernel-selinux.enabled"] = "false"
		}),
		"note 1:13 backupPVC.gold: the backupPVC is of class gold: provisioner csi.example.com, reclaim policy Delete, binding mode Immediate"),

	Entry("a restricted namespace", "{}\n", cluster(enforce("restricted")),
		"error 1:1 : backup pods run as root, which the pod security level of namespace velero forbids (pod-security.kubernetes.io/enforce=restricted)"),
	Entry("spc_t in a baseline namespace", "backupPVC: {other: {readOnly: true, spcNoRelabeling: true}, gold: {spcNoRelabeling: true}}\n",
		cluster(enforce("baseline"), func(c *check.Cluster) { c.StorageClasses, c.Unread["storage classes"] = nil, "no" }),
		"warning 1:1 : not checked against the cluster's storage classes (no)",
		"error 1:37 backupPVC.other.spcNoRelabeling: the pod security level of namespace velero forbids the SELinux type spc_t "+
			"(pod-security.kubernetes.io/enforce=baseline)",
		"warning 1:68 backupPVC.gold.spcNoRelabeling: ignored, because readOnly is not true"),
	Entry("a privileged namespace", "{}\n", cluster(enforce("privileged"))),

	Entry("a priority class", "priorityClassName: low\n", cluster(), "note 1:1 priorityClassName: backup pods have priority -10"),
	Entry("no priority class", "priorityClassName: lwo\n", cluster(),
		`error 1:1 priorityClassName: priority class lwo does not exist: the API server refuses backup pods [did you mean "low"?]`),
)

var _ = DescribeTable("storage locations", func(provider string, config map[string]string, want ...string) {
	expectFindings("{}", cluster(func(c *check.Cluster) {
		location := velerov1.BackupStorageLocation{ObjectMeta: metav1.ObjectMeta{Name: "default"}}
		location.Spec.Provider, location.Spec.Config = provider, config
		c.Locations = append(c.Locations, location)
	}), want...)
},
	Entry("with settings that all count", "aws", map[string]string{"region": "eu-west-1", "kmsKeyId": "k"}),
	Entry("with a setting of Velero's own", "aws", map[string]string{"publicUrl": "https://x"},
		"note 1:1 : backup storage location default has a setting with no effect on data: config.publicUrl: only for the links that Velero's server signs for its command line"),
	Entry("with a setting that nobody knows", "aws", map[string]string{"s3URL": "https://x", "region": "r"},
		"warning 1:1 : backup storage location default has a setting with no effect on data: config.s3URL: not known for provider velero.io/aws: upper and lower case count, s3Url may be meant"),
	Entry("of a provider that nobody knows", "tape", nil,
		`warning 1:1 : no data can be stored in backup storage location default: storage provider "tape" is not known (known: velero.io/aws, velero.io/azure, velero.io/fs, velero.io/gcp, and any provider with config.s3Url)`),
)

var _ = Describe("a report", func() {
	It("holds errors of the text without asking the cluster", func() {
		report := check.Against(manifest.CheckFile(schema.Decoder{}, "f", []byte("backupPVC: {gone: 1}\npriorityClassNam: x\n")), cluster())
		Expect(report.Valid).To(BeFalse())
		Expect(report.Count(check.Error)).To(Equal(2))
		Expect(report.Findings).To(ContainElement(check.Finding{
			Level: check.Note, Problem: problem.Problem{Message: "not held against the cluster, because of the errors"},
		}))
	})

	It("is valid in spite of warnings", func() {
		report := check.Against(manifest.CheckFile(schema.Decoder{}, "f", []byte("backupPVC: {golden: {}}\n")), cluster())
		Expect(report.Valid).To(BeTrue())
		Expect(report.Count(check.Warning)).To(Equal(1))
	})

	DescribeTable("tells what Velero cannot read", func(text string, notes int) {
		report := check.Against(manifest.CheckFile(schema.Decoder{}, "f", []byte(text)), nil)
		Expect(report.Valid).To(BeTrue())
		Expect(report.Count(check.Note)).To(Equal(notes))
	},
		Entry("JSON", `{"backupPVC": {}}`, 0),
		Entry("YAML", "backupPVC: {}\n", 1),
		Entry("a byte order mark", "\uFEFF{}", 1),
	)

	It("counts what it leaves out", func() {
		text := "xxx-: 1\n"
		for i := range 120 {
			text += fmt.Sprintf("key-%d: 1\n", i)
		}
		report := check.Against(manifest.CheckFile(schema.Decoder{}, "f", []byte(text)), nil)
		Expect(report.Findings).To(HaveLen(100))
		Expect(report.Omitted).To(Equal(21))
	})
})
