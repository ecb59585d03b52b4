package integration

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gbytes"
	"github.com/onsi/gomega/gexec"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/expose"
	"github.com/node-agent/node-agent/test/cluster"
	"github.com/node-agent/node-agent/test/controlplane"
)

// sweepNamespace is apart from the other tests', whose leftovers nobody helps to remove.
const sweepNamespace = "sweeps"

// slow is how long the program may take on a busy machine.
const slow = time.Minute

var _ = Describe("node-agent sweep", Ordered, func() {
	var config string

	BeforeAll(func(ctx context.Context) {
		Expect(live.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: sweepNamespace}})).To(Succeed())
		config = asDaemonSet(ctx, sweepNamespace)
	})

	sweep := func(args ...string) *gexec.Session {
		GinkgoHelper()
		command := exec.Command(builtProgram(), append([]string{"sweep", "--kubeconfig", config, "-n", sweepNamespace}, args...)...)
		session, err := gexec.Start(command, GinkgoWriter, GinkgoWriter)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(func() { session.Kill().Wait() })
		return session
	}

	It("says that there is nothing", func() {
		session := sweep()
		Eventually(session).WithTimeout(slow).Should(gexec.Exit(0))
		Expect(string(session.Out.Contents())).To(Equal("nothing to remove\n"))
	})

	It("lists without touching, lets alone what is young, removes, and leaves what goes on", func(ctx context.Context) {
		w := makeLeftovers(ctx, "nightly-7", "10c2f9c0-6ab9-4b8e-9bd3-3d4a8a0d4d5e")
		running := &v2alpha1.DataUpload{
			ObjectMeta: metav1.ObjectMeta{Namespace: sweepNamespace, Name: "nightly-8"},
			Spec:       v2alpha1.DataUploadSpec{SnapshotType: v2alpha1.SnapshotTypeCSI, BackupStorageLocation: goodPlace},
			Status:     v2alpha1.DataUploadStatus{TransferStatus: v2alpha1.TransferStatus{Phase: v2alpha1.PhaseInProgress}},
		}
		Expect(live.Create(ctx, running)).To(Succeed())
		others := makeLeftovers(ctx, running.Name, running.UID)
		versions := append(w.versions(ctx), others.versions(ctx)...)

		session := sweep()
		Eventually(session).WithTimeout(slow).Should(gexec.Exit(0))
		Expect(string(session.Out.Contents())).To(MatchRegexp(
			`^nothing to remove\nDataUpload sweeps/nightly-7: 5 objects are let alone for another [\dms]+: the DataUpload is gone\n$`))

		session = sweep("--dry-run", "--grace=0s")
		Eventually(session).WithTimeout(slow).Should(gexec.Exit(0))
		Expect(string(session.Out.Contents())).To(MatchRegexp(`^KIND +NAME +AGE +MADE FOR +WHY
Pod +sweeps/nightly-7 +\d+s +DataUpload sweeps/nightly-7 +the DataUpload is gone
PersistentVolumeClaim +sweeps/nightly-7 +\d+s +DataUpload sweeps/nightly-7 +the DataUpload is gone
PersistentVolume +pv-nightly-7 +\d+s +DataUpload sweeps/nightly-7 +the DataUpload is gone
VolumeSnapshot +sweeps/nightly-7 +\d+s +DataUpload sweeps/nightly-7 +the DataUpload is gone
VolumeSnapshotContent +nightly-7 +\d+s +DataUpload sweeps/nightly-7 +the DataUpload is gone
$`))
		Expect(append(w.versions(ctx), others.versions(ctx)...)).To(Equal(versions))

		session = sweep("--grace=0s", "--timeout=5s")
		Eventually(session).WithTimeout(slow).Should(gexec.Exit(1))
		Expect(string(session.Err.Contents())).To(ContainSubstring(
			"node-agent: not everything could be removed within 5s, still there: PersistentVolumeClaim sweeps/nightly-7, PersistentVolume pv-nightly-7"))

		session = sweep("--grace=0s", "--timeout=1m")
		Eventually(session.Err).WithTimeout(slow).Should(gbytes.Say("removing a leftover.*kind=VolumeSnapshotContent"))
		Eventually(func() int { w.collect(ctx); return session.ExitCode() }).WithTimeout(slow).Should(BeZero())
		Expect(session.Out).To(gbytes.Say("removed PersistentVolumeClaim sweeps/nightly-7\n"))
		Expect(session.Out).To(gbytes.Say("4 objects removed, nothing is left over\n"))
		Expect(w.cluster.Deleted()).To(Equal(map[string]int{"handle-nightly-7": 1}))
		Expect(w.versions(ctx)).To(Equal([]string{"", "", "", "", ""}))
		Expect(others.versions(ctx)).To(Equal(versions[5:]))

		Expect(live.Delete(ctx, running)).To(Succeed())
		session = sweep("--grace=0s")
		Eventually(func() int { others.collect(ctx); return session.ExitCode() }).WithTimeout(slow).Should(BeZero())
		Expect(others.versions(ctx)).To(Equal([]string{"", "", "", "", ""}))
	})
})

// leftover are objects of a DataUpload in sweepNamespace.
type leftover struct {
	objects []client.Object
	// cluster reads what the program has written; world does not mind what another process does.
	cluster *cluster.Cluster
}

// makeLeftovers makes one object of each kind.
func makeLeftovers(ctx context.Context, name string, uid types.UID) leftover {
	GinkgoHelper()
	du := &v2alpha1.DataUpload{ObjectMeta: metav1.ObjectMeta{Namespace: sweepNamespace, Name: name, UID: uid}}
	meta := metav1.ObjectMeta{Namespace: sweepNamespace, Name: name, Labels: expose.Labels(du)}
	size := corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}
	modes := []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}
	pod := &corev1.Pod{ObjectMeta: meta, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}}}
	pvc := &corev1.PersistentVolumeClaim{ObjectMeta: meta, Spec: corev1.PersistentVolumeClaimSpec{
		AccessModes: modes, StorageClassName: new(fastClass), VolumeName: "pv-" + name,
		Resources: corev1.VolumeResourceRequirements{Requests: size},
	}}
	Expect(live.Create(ctx, pvc)).To(Succeed())
	pv := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: "pv-" + name},
		Spec: corev1.PersistentVolumeSpec{
			Capacity: size, AccessModes: modes, PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimDelete,
			ClaimRef:               &corev1.ObjectReference{Namespace: sweepNamespace, Name: name, UID: pvc.UID},
			PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: "d", VolumeHandle: name}},
		},
	}
	expose.Mark(pv, du)
	content := &snapshotv1.VolumeSnapshotContent{
		ObjectMeta: metav1.ObjectMeta{Name: name, Finalizers: []string{cluster.Finalizer}},
		Spec: snapshotv1.VolumeSnapshotContentSpec{
			Driver: "d", DeletionPolicy: snapshotv1.VolumeSnapshotContentDelete,
			Source:            snapshotv1.VolumeSnapshotContentSource{SnapshotHandle: new("handle-" + name)},
			VolumeSnapshotRef: corev1.ObjectReference{Namespace: sweepNamespace, Name: name},
		},
	}
	expose.Mark(content, du)
	alias := expose.AliasSnapshot(du, content, nil)
	for _, obj := range []client.Object{pod, pv, alias, content} {
		Expect(live.Create(ctx, obj)).To(Succeed())
	}
	return leftover{objects: []client.Object{pod, pvc, pv, alias, content}, cluster: cluster.New(live)}
}

// versions tell whether an object has changed; that of one that is gone is empty.
func (l leftover) versions(ctx context.Context) []string {
	var versions []string
	for _, obj := range l.objects {
		now := obj.DeepCopyObject().(client.Object)
		if live.Get(ctx, client.ObjectKeyFromObject(obj), now) != nil {
			now.SetResourceVersion("")
		}
		versions = append(versions, now.GetResourceVersion())
	}
	return versions
}

// collect does the part of the cluster's controllers.
func (l leftover) collect(ctx context.Context) {
	for _, obj := range l.objects {
		now := obj.DeepCopyObject().(client.Object)
		if live.Get(ctx, client.ObjectKeyFromObject(obj), now) != nil || now.GetDeletionTimestamp().IsZero() {
			continue
		}
		switch typed := now.(type) {
		case *corev1.PersistentVolumeClaim:
			pv := l.objects[slices.Index(l.objects, obj)+1].DeepCopyObject().(client.Object)
			Expect(client.IgnoreNotFound(live.Delete(ctx, pv))).To(Succeed())
			release(ctx, pv)
			release(ctx, typed)
		case *snapshotv1.VolumeSnapshotContent:
			l.cluster.CollectContent(ctx, typed.Name)
		}
	}
}

// asDaemonSet gives the DaemonSet's account the rights of config/rbac in a namespace, and returns a kubeconfig that
// has these rights only.
func asDaemonSet(ctx context.Context, namespace string) string {
	GinkgoHelper()
	module, err := controlplane.ModuleDir()
	Expect(err).NotTo(HaveOccurred())
	for _, file := range []string{"agent_role.yaml", "agent_cluster_role.yaml"} {
		content, err := os.ReadFile(filepath.Join(module, "config", "rbac", file))
		Expect(err).NotTo(HaveOccurred())
		reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(content)))
		for {
			document, err := reader.Read()
			if errors.Is(err, io.EOF) {
				break
			}
			Expect(err).NotTo(HaveOccurred())
			obj := &unstructured.Unstructured{}
			Expect(yaml.Unmarshal(document, &obj.Object)).To(Succeed())
			if obj.GetNamespace() != "" {
				obj.SetNamespace(namespace)
			}
			if _, bound := obj.Object["subjects"]; bound {
				subject := map[string]any{"kind": rbacv1.ServiceAccountKind, "name": "node-agent", "namespace": namespace}
				Expect(unstructured.SetNestedSlice(obj.Object, []any{subject}, "subjects")).To(Succeed())
			}
			Expect(live.Create(ctx, obj)).To(Succeed())
			DeferCleanup(func(ctx context.Context) { Expect(live.Delete(ctx, obj)).To(Succeed()) })
		}
	}
	config, err := clientcmd.Load(plane.Kubeconfig)
	Expect(err).NotTo(HaveOccurred())
	for _, user := range config.AuthInfos {
		user.Impersonate = "system:serviceaccount:" + namespace + ":node-agent"
	}
	file := filepath.Join(GinkgoT().TempDir(), "kubeconfig")
	Expect(clientcmd.WriteToFile(*config, file)).To(Succeed())
	return file
}
