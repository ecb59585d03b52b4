package localnode_test

import (
	"os"
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/test/localnode"
)

var _ = Describe("Claims", func() {
	It("are bound to a directory of their own", func(ctx SpecContext) {
		claim := newClaim("data", immediateClass)
		volume := bound(ctx, claim)

		Expect(claim.Annotations).To(HaveKeyWithValue("pv.kubernetes.io/bind-completed", "yes"))
		Expect(claim.Annotations).To(HaveKeyWithValue("pv.kubernetes.io/bound-by-controller", "yes"))
		Expect(claim.Annotations).To(HaveKeyWithValue("volume.kubernetes.io/storage-provisioner", localnode.Driver))
		Expect(claim.Finalizers).To(ContainElement("kubernetes.io/pvc-protection"))
		Expect(claim.Status.AccessModes).To(ConsistOf(corev1.ReadWriteOnce))
		Expect(claim.Status.Capacity.Storage().String()).To(Equal("1Mi"))

		Expect(volume.Name).To(Equal("pvc-" + string(claim.UID)))
		Expect(volume.Status.Phase).To(Equal(corev1.VolumeBound))
		Expect(volume.Spec.ClaimRef.UID).To(Equal(claim.UID))
		Expect(volume.Spec.CSI.Driver).To(Equal(localnode.Driver))
		Expect(volume.Spec.NodeAffinity).To(BeNil())
		Expect(volume.Finalizers).To(ContainElement("kubernetes.io/pv-protection"))
		Expect(node.Storage.VolumePath(volume.Name)).To(BeADirectory())
	})

	It("of a missing class stay pending and say so as kube-controller-manager does", func(ctx SpecContext) {
		claim := newClaim("data", "no-such-class")
		Expect(cluster.Create(ctx, claim)).To(Succeed())
		Eventually(eventsOn(ctx, "data")).Should(
			ContainElement(`Warning ProvisioningFailed: storageclass.storage.k8s.io "no-such-class" not found`))
		Expect(fetch(ctx, claim)(Default).Status.Phase).To(Equal(corev1.ClaimPending))
	})

	It("without a class say that there is none", func(ctx SpecContext) {
		Expect(cluster.Create(ctx, newClaim("data", ""))).To(Succeed())
		Eventually(eventsOn(ctx, "data")).Should(ContainElement(
			"Normal FailedBinding: no persistent volumes available for this claim and no storage class is set"))
	})

	It("may ask for ReadOnlyMany, unless the driver cannot make it", func(ctx SpecContext) {
		able, unable := newClaim("able", immediateClass), newClaim("unable", writableClass)
		able.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadOnlyMany}
		unable.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadOnlyMany}

		Expect(bound(ctx, able).Spec.AccessModes).To(ConsistOf(corev1.ReadOnlyMany))
		Expect(cluster.Create(ctx, unable)).To(Succeed())
		Eventually(eventsOn(ctx, "unable")).Should(ContainElement(
			`Warning ProvisioningFailed: failed to provision volume with StorageClass "writable-only": rpc error: ` +
				"code = InvalidArgument desc = volume capabilities not supported: access mode MULTI_NODE_READER_ONLY"))
		Expect(fetch(ctx, unable)(Default).Status.Phase).To(Equal(corev1.ClaimPending))
	})

	It("of a late-binding class wait for a pod, and their volumes are tied to the node", func(ctx SpecContext) {
		claim := newClaim("data", lateClass)
		Expect(cluster.Create(ctx, claim)).To(Succeed())
		Eventually(eventsOn(ctx, "data")).Should(ContainElement(
			"Normal WaitForFirstConsumer: waiting for first consumer to be created before binding"))

		Expect(finished(ctx, mount(shell("consumer", `touch "$DATA/here"`), "data", "/data")).ExitCode).To(BeZero())
		Expect(fetch(ctx, claim)(Default).Annotations).To(HaveKeyWithValue("volume.kubernetes.io/selected-node", nodeName))
		Expect(filepath.Join(node.Storage.VolumePath(claim.Spec.VolumeName), "here")).To(BeAnExistingFile())
		volume := &corev1.PersistentVolume{}
		Expect(cluster.Get(ctx, client.ObjectKey{Name: claim.Spec.VolumeName}, volume)).To(Succeed())
		Expect(volume.Spec.NodeAffinity.Required.NodeSelectorTerms[0].MatchExpressions[0].Values).To(ConsistOf(nodeName))
	})

	It("with a selector are not served by the provisioner", func(ctx SpecContext) {
		claim := newClaim("data", immediateClass)
		claim.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"volume": "restored"}}
		Expect(cluster.Create(ctx, claim)).To(Succeed())
		Eventually(eventsOn(ctx, "data")).Should(ContainElement(
			`Warning ProvisioningFailed: failed to provision volume with StorageClass "immediate": claim Selector is not supported`))
		Expect(fetch(ctx, claim)(Default).Status.Phase).To(Equal(corev1.ClaimPending))
	})

	It("that name a volume are bound to it once it is theirs, and it goes with them", func(ctx SpecContext) {
		first, second := newClaim("first", retainClass), newClaim("second", retainClass)
		volume := bound(ctx, first)
		second.Spec.VolumeName = volume.Name
		Expect(cluster.Create(ctx, second)).To(Succeed())
		Expect(cluster.Delete(ctx, first)).To(Succeed())
		Eventually(fetch(ctx, volume)).Should(HaveField("Status.Phase", corev1.VolumeReleased))
		Expect(fetch(ctx, second)(Default).Status.Phase).To(Equal(corev1.ClaimPending))

		before := volume.DeepCopy()
		volume.Spec.ClaimRef = &corev1.ObjectReference{Namespace: second.Namespace, Name: second.Name, UID: second.UID}
		volume.Spec.PersistentVolumeReclaimPolicy = corev1.PersistentVolumeReclaimDelete
		Expect(cluster.Patch(ctx, volume, client.MergeFrom(before))).To(Succeed())
		Eventually(fetch(ctx, second)).Should(HaveField("Status.Phase", corev1.ClaimBound))
		Expect(second.Annotations).To(HaveKeyWithValue("pv.kubernetes.io/bind-completed", "yes"))
		Expect(second.Annotations).NotTo(HaveKey("pv.kubernetes.io/bound-by-controller"), "the claim named its volume itself")
		Expect(fetch(ctx, volume)(Default).Status.Phase).To(Equal(corev1.VolumeBound))
		Expect(node.Storage.VolumePath(volume.Name)).To(BeADirectory())

		Expect(cluster.Delete(ctx, second)).To(Succeed())
		Eventually(gone(ctx, volume)).Should(BeTrue())
		Expect(node.Storage.VolumePath(volume.Name)).NotTo(BeAnExistingFile())
	})

	It("of mode Block get a file that plays the device", func(ctx SpecContext) {
		claim := newClaim("disk", immediateClass)
		claim.Spec.VolumeMode = new(corev1.PersistentVolumeBlock)
		volume := bound(ctx, claim)

		device, err := os.Stat(node.Storage.VolumePath(volume.Name))
		Expect(err).NotTo(HaveOccurred())
		Expect(device.Mode().IsRegular()).To(BeTrue())
		Expect(device.Size()).To(BeEquivalentTo(1 << 20))

		pod := shell("writer", `printf bytes | dd of="$DISK" conv=notrunc status=none`)
		pod.Spec.Volumes = []corev1.Volume{{Name: "disk", VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "disk"},
		}}}
		pod.Spec.Containers[0].VolumeDevices = []corev1.VolumeDevice{{Name: "disk", DevicePath: "/dev/xvda"}}
		pod.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "DISK", Value: "/dev/xvda"}}
		Expect(finished(ctx, pod).ExitCode).To(BeZero())
		content, err := os.ReadFile(node.Storage.VolumePath(volume.Name))
		Expect(err).NotTo(HaveOccurred())
		Expect(content).To(HaveLen(1 << 20))
		Expect(string(content[:5])).To(Equal("bytes"))
	})
})

var _ = Describe("Deleting a claim", func() {
	It("deletes volume and directory", func(ctx SpecContext) {
		claim := newClaim("data", immediateClass)
		volume := bound(ctx, claim)
		Expect(cluster.Delete(ctx, claim)).To(Succeed())
		Eventually(gone(ctx, claim)).Should(BeTrue())
		Eventually(gone(ctx, volume)).Should(BeTrue())
		Expect(node.Storage.VolumePath(volume.Name)).NotTo(BeAnExistingFile())
	})

	It("releases a volume of policy Retain and keeps the directory, until the policy is changed", func(ctx SpecContext) {
		claim := newClaim("data", retainClass)
		volume := bound(ctx, claim)
		Expect(cluster.Delete(ctx, claim)).To(Succeed())
		Eventually(fetch(ctx, volume)).Should(HaveField("Status.Phase", corev1.VolumeReleased))
		Expect(node.Storage.VolumePath(volume.Name)).To(BeADirectory())

		before := volume.DeepCopy()
		volume.Spec.PersistentVolumeReclaimPolicy = corev1.PersistentVolumeReclaimDelete
		Expect(cluster.Patch(ctx, volume, client.MergeFrom(before))).To(Succeed())
		Eventually(gone(ctx, volume)).Should(BeTrue())
		Expect(node.Storage.VolumePath(volume.Name)).NotTo(BeAnExistingFile())
	})

	It("waits for the pods that use it, also for one that is done", func(ctx SpecContext) {
		claim := newClaim("data", immediateClass)
		volume := bound(ctx, claim)
		pod := mount(shell("user", "true"), "data", "/data")
		Expect(finished(ctx, pod).ExitCode).To(BeZero())

		Expect(cluster.Delete(ctx, claim)).To(Succeed())
		Consistently(gone(ctx, claim), 300*time.Millisecond).Should(BeFalse())
		Expect(node.Storage.VolumePath(volume.Name)).To(BeADirectory())

		Expect(cluster.Delete(ctx, pod)).To(Succeed())
		Eventually(gone(ctx, claim)).Should(BeTrue())
		Eventually(gone(ctx, volume)).Should(BeTrue())
	})
})

var _ = Describe("The node", func() {
	It("is ready and carries the usual labels", func(ctx SpecContext) {
		object := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: nodeName}}
		Expect(cluster.Get(ctx, client.ObjectKeyFromObject(object), object)).To(Succeed())
		Expect(object.Labels).To(HaveKeyWithValue(corev1.LabelHostname, nodeName))
		Expect(object.Labels).To(HaveKeyWithValue(corev1.LabelOSStable, "linux"))
		Expect(object.Spec.Taints).To(BeEmpty())
		Expect(object.Status.Conditions).To(ContainElement(And(
			HaveField("Type", corev1.NodeReady), HaveField("Status", corev1.ConditionTrue))))
	})
})
