package integration

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gexec"
	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const checkedConfiguration = `backupPVC:
  fast:
    storageClass: late
    readOnly: true
    spcNoRelabeling: true
  missing: {}
loadAffinity:
- nodeSelector: {matchLabels: {disk: none}}
priorityClassName: backup
`

// runConfig runs `node-agent config` to its end.
func runConfig(kubeconfig string, args ...string) (code int, stdout, stderr string) {
	GinkgoHelper()
	command := exec.Command(builtProgram(), append([]string{"config", "--kubeconfig", kubeconfig, "-n", agentNamespace}, args...)...)
	session, err := gexec.Start(command, GinkgoWriter, GinkgoWriter)
	Expect(err).NotTo(HaveOccurred())
	Eventually(session).WithTimeout(takeOver).Should(gexec.Exit())
	return session.ExitCode(), string(session.Out.Contents()), string(session.Err.Contents())
}

var _ = Describe("config with a cluster", Ordered, func() {
	BeforeAll(prepareAgents)
	BeforeAll(func(ctx context.Context) {
		for _, obj := range []client.Object{
			&corev1.ConfigMap{
				ObjectMeta: metav1.ObjectMeta{Namespace: agentNamespace, Name: "checked"}, Data: map[string]string{"c.yaml": checkedConfiguration},
			},
			&snapshotv1.VolumeSnapshotClass{
				ObjectMeta: metav1.ObjectMeta{Name: "checked"}, Driver: "csi.example.com", DeletionPolicy: snapshotv1.VolumeSnapshotContentDelete,
			},
			&schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: "backup"}, Value: 5},
			&corev1.ResourceQuota{
				ObjectMeta: metav1.ObjectMeta{Namespace: agentNamespace, Name: "tight"},
				Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{
					corev1.ResourcePods: resource.MustParse("0"), corev1.ResourceRequestsStorage: resource.MustParse("0"),
				}},
			},
			&corev1.LimitRange{
				ObjectMeta: metav1.ObjectMeta{Namespace: agentNamespace, Name: "bounds"},
				Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{
					Type: corev1.LimitTypeContainer, Max: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("1Gi")},
				}}},
			},
		} {
			Expect(live.Create(ctx, obj)).To(Succeed())
			DeferCleanup(func(ctx context.Context) { Expect(live.Delete(ctx, obj)).To(Succeed()) })
		}
		namespace := &corev1.Namespace{}
		Expect(live.Get(ctx, client.ObjectKey{Name: agentNamespace}, namespace)).To(Succeed())
		before := namespace.DeepCopy()
		metav1.SetMetaDataLabel(&namespace.ObjectMeta, "pod-security.kubernetes.io/enforce", "baseline")
		Expect(live.Patch(ctx, namespace, client.MergeFrom(before))).To(Succeed())
		DeferCleanup(func(ctx context.Context) {
			delete(namespace.Labels, "pod-security.kubernetes.io/enforce")
			Expect(live.Update(ctx, namespace)).To(Succeed())
		})
	})

	It("holds a ConfigMap against classes, nodes, security and quotas", func() {
		code, stdout, stderr := runConfig(kubeconfig, "check", "--configmap=checked", "--cluster")
		Expect(code).To(Equal(1))
		Expect(stderr).To(Equal("node-agent: configmap agents/checked, key c.yaml is not valid\n"))
		for _, row := range []string{
			`error +1 +1 +- +quota tight \(pods\) leaves no room for backup pods: found 0 of 0 used`,
			`error +1 +1 +- +quota tight \(requests\.storage\) leaves no room for backupPVCs: found 0 of 0 used`,
			`note +1 +1 +podResources\.memoryLimit +limit range bounds gives backup pods a memoryLimit of 1Gi`,
			`note +3 +5 +backupPVC\.fast\.storageClass +the backupPVC is of class late: provisioner csi\.example\.com, reclaim policy Retain, ` +
				`binding mode WaitForFirstConsumer`,
			`error +5 +5 +backupPVC\.fast\.spcNoRelabeling +the pod security level of namespace agents forbids the SELinux type spc_t`,
			`warning +6 +3 +backupPVC\.missing +storage class missing does not exist: no volume has these settings`,
			`error +8 +3 +loadAffinity\[0\]\.nodeSelector +no node of [0-9]+ matches: backup pods cannot be scheduled: found disk=none; no node has label disk`,
			`note +9 +1 +priorityClassName +backup pods have priority 5`,
		} {
			Expect(stdout).To(MatchRegexp(row))
		}
		Expect(stdout).To(ContainSubstring("configmap agents/checked, key c.yaml: not valid, 4 errors, "))
	})

	It("looks at the text alone without --cluster", func() {
		code, stdout, _ := runConfig(kubeconfig, "check", "--configmap=checked")
		Expect(code).To(BeZero())
		Expect(stdout).To(ContainSubstring("configmap agents/checked, key c.yaml: valid"))
	})

	It("explains what it comes to for the classes and nodes that there are", func() {
		code, stdout, stderr := runConfig(kubeconfig, "explain", "--configmap=checked", "--cluster")
		Expect(stderr).To(BeEmpty())
		Expect(code).To(BeZero())
		Expect(stdout).To(ContainSubstring("Volumes of storage class fast\n  backupPVC    class late: provisioner csi.example.com, reclaim policy Retain"))
		Expect(stdout).To(ContainSubstring("Not in this cluster: storage class missing\n"))
		Expect(stdout).To(ContainSubstring("on node " + nodeName + "\n"))
	})

	It("says what it may not read, and goes on", func() {
		config, err := clientcmd.Load(plane.Kubeconfig)
		Expect(err).NotTo(HaveOccurred())
		for _, user := range config.AuthInfos {
			user.Impersonate = "nobody"
		}
		content, err := clientcmd.Write(*config)
		Expect(err).NotTo(HaveOccurred())
		nobody := filepath.Join(GinkgoT().TempDir(), "kubeconfig")
		Expect(os.WriteFile(nobody, content, 0o600)).To(Succeed())
		file := filepath.Join(GinkgoT().TempDir(), "c.yaml")
		Expect(os.WriteFile(file, []byte(checkedConfiguration), 0o600)).To(Succeed())
		code, stdout, stderr := runConfig(nobody, "check", file, "--cluster")
		Expect(stderr).To(BeEmpty())
		Expect(code).To(BeZero())
		for _, kind := range []string{
			"namespace", "storage classes", "volume snapshot classes", "priority classes", "nodes", "resource quotas", "limit ranges",
			"persistent volume claims",
		} {
			Expect(stdout).To(MatchRegexp(`not checked against the cluster's ` + kind + `: found .* is forbidden`))
		}
		code, _, stderr = runConfig(nobody, "check", "--configmap=checked")
		Expect(code).To(Equal(1))
		Expect(stderr).To(ContainSubstring("read configmap agents/checked: "))
	})

	It("says that a ConfigMap does not exist", func() {
		code, stdout, stderr := runConfig(kubeconfig, "check", "--configmap=missing")
		Expect(code).To(Equal(1))
		Expect(stdout).To(BeEmpty())
		Expect(stderr).To(Equal(`node-agent: read configmap agents/missing: configmaps "missing" not found` + "\n"))
	})
})
