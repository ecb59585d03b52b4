package localnode_test

import (
	"context"
	"slices"
	"testing"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/node-agent/node-agent/test/controlplane"
	"github.com/node-agent/node-agent/test/localnode"
)

const (
	nodeName = "localnode-test"
	image    = "test/shell:1"

	immediateClass = "immediate"
	lateClass      = "late"
	retainClass    = "retain"
	writableClass  = "writable-only"

	deleteSnapshots = "delete-snapshots"
	retainSnapshots = "retain-snapshots"
)

var (
	config    *rest.Config
	cluster   client.Client
	node      *localnode.Node
	namespace string
)

func TestLocalnode(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(20 * time.Second)
	SetDefaultEventuallyPollingInterval(50 * time.Millisecond)
	RunSpecs(t, "local node")
}

var _ = BeforeSuite(func() {
	logf.SetLogger(GinkgoLogr)
	plane, err := controlplane.Start()
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(plane.Stop)
	scheme, err := controlplane.Scheme()
	Expect(err).NotTo(HaveOccurred())
	config = plane.Config
	cluster, err = client.New(config, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	node, err = localnode.Start(context.Background(), localnode.Options{
		Config: config, Root: GinkgoT().TempDir(), Nodes: []string{nodeName}, Images: []string{image}, Log: GinkgoLogr,
		Programs: map[string]string{"/shell": "/bin/sh"},
	})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(node.Stop)
	createClasses()
})

var _ = BeforeEach(func(ctx SpecContext) {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "localnode-"}}
	Expect(cluster.Create(ctx, ns)).To(Succeed())
	namespace = ns.Name
})

func createClasses() {
	GinkgoHelper()
	class := func(name string, policy corev1.PersistentVolumeReclaimPolicy, mode storagev1.VolumeBindingMode) *storagev1.StorageClass {
		return &storagev1.StorageClass{
			ObjectMeta: metav1.ObjectMeta{Name: name}, Provisioner: localnode.Driver,
			ReclaimPolicy: &policy, VolumeBindingMode: &mode,
		}
	}
	writable := class(writableClass, corev1.PersistentVolumeReclaimDelete, storagev1.VolumeBindingImmediate)
	writable.Parameters = map[string]string{localnode.ReadOnlyManyParameter: "false"}
	for _, object := range []client.Object{
		class(immediateClass, corev1.PersistentVolumeReclaimDelete, storagev1.VolumeBindingImmediate),
		class(lateClass, corev1.PersistentVolumeReclaimDelete, storagev1.VolumeBindingWaitForFirstConsumer),
		class(retainClass, corev1.PersistentVolumeReclaimRetain, storagev1.VolumeBindingImmediate),
		writable,
		&snapshotv1.VolumeSnapshotClass{
			ObjectMeta: metav1.ObjectMeta{Name: deleteSnapshots}, Driver: localnode.Driver,
			DeletionPolicy: snapshotv1.VolumeSnapshotContentDelete,
		},
		&snapshotv1.VolumeSnapshotClass{
			ObjectMeta: metav1.ObjectMeta{Name: retainSnapshots}, Driver: localnode.Driver,
			DeletionPolicy: snapshotv1.VolumeSnapshotContentRetain,
		},
	} {
		Expect(cluster.Create(context.Background(), object)).To(Succeed())
	}
}

// newClaim returns a claim of 1 MiB for tests to adapt.
func newClaim(name, class string) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			StorageClassName: &class,
			Resources: corev1.VolumeResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Mi")},
			},
		},
	}
}

// bound creates a claim and waits until it has a volume.
func bound(ctx context.Context, claim *corev1.PersistentVolumeClaim) *corev1.PersistentVolume {
	GinkgoHelper()
	Expect(cluster.Create(ctx, claim)).To(Succeed())
	Eventually(fetch(ctx, claim)).Should(HaveField("Status.Phase", corev1.ClaimBound))
	volume := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: claim.Spec.VolumeName}}
	Expect(cluster.Get(ctx, client.ObjectKeyFromObject(volume), volume)).To(Succeed())
	return volume
}

// shell returns a pod that runs a script.
func shell(name, script string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever,
			Containers: []corev1.Container{{
				Name: "shell", Image: image, Command: []string{"/shell", "-c", script},
				Env: []corev1.EnvVar{{Name: "MESSAGE", Value: "/dev/termination-log"}},
			}},
		},
	}
}

// mount gives the pod's container a claim under a path, and the path in variable DATA.
func mount(pod *corev1.Pod, claim, path string) *corev1.Pod {
	pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: claim, VolumeSource: corev1.VolumeSource{
		PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim},
	}})
	container := &pod.Spec.Containers[0]
	container.VolumeMounts = append(container.VolumeMounts, corev1.VolumeMount{Name: claim, MountPath: path})
	container.Env = append(container.Env, corev1.EnvVar{Name: "DATA", Value: path})
	return pod
}

// finished creates a pod and waits until it has ended.
func finished(ctx context.Context, pod *corev1.Pod) *corev1.ContainerStateTerminated {
	GinkgoHelper()
	Expect(cluster.Create(ctx, pod)).To(Succeed())
	Eventually(fetch(ctx, pod)).Should(HaveField("Status.Phase", BeElementOf(corev1.PodSucceeded, corev1.PodFailed)))
	Expect(pod.Status.ContainerStatuses).To(HaveLen(1))
	return pod.Status.ContainerStatuses[0].State.Terminated
}

// fetch returns a function that reads an object anew.
func fetch[T client.Object](ctx context.Context, object T) func(Gomega) T {
	return func(g Gomega) T {
		g.Expect(cluster.Get(ctx, client.ObjectKeyFromObject(object), object)).To(Succeed())
		return object
	}
}

// gone returns a function that tells whether an object no longer exists.
func gone(ctx context.Context, object client.Object) func() bool {
	copied := object.DeepCopyObject().(client.Object)
	return func() bool {
		return apierrors.IsNotFound(cluster.Get(ctx, client.ObjectKeyFromObject(object), copied))
	}
}

// eventsOn returns a function that lists the reasons and messages of events about an object.
func eventsOn(ctx context.Context, name string) func(Gomega) []string {
	return func(g Gomega) []string {
		list := &corev1.EventList{}
		g.Expect(cluster.List(ctx, list, client.InNamespace(namespace))).To(Succeed())
		var found []string
		for _, event := range list.Items {
			if event.InvolvedObject.Name == name {
				found = append(found, event.Type+" "+event.Reason+": "+event.Message)
			}
		}
		slices.Sort(found)
		return found
	}
}
