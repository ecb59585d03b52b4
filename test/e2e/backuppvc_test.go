package e2e

import (
	"context"
	"fmt"
	"os"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
)

var _ = Describe("The section backupPVC", Label("backuppvc"), func() {
	AfterEach(func(ctx context.Context) { configure(ctx, "{}") })

	DescribeTable("of the source's storage class takes effect",
		func(ctx context.Context, section string, accessMode corev1.PersistentVolumeAccessMode, readOnly bool, seLinuxType string) {
			namespace, _ := deploy(ctx, application{args: large})
			source, mapped := storageClasses(ctx)
			useOurAgent(ctx)
			configure(ctx, fmt.Sprintf(`{"backupPVC": {%q: `+section+`}}`, source, mapped))
			startBackup(ctx, namespace)

			upload := dataUpload(ctx, namespace, inPhase(v2alpha1.PhaseInProgress))
			key := client.ObjectKeyFromObject(&upload)
			claim, pod := &corev1.PersistentVolumeClaim{}, &corev1.Pod{}
			Expect(cluster.Get(ctx, key, claim)).To(Succeed())
			Expect(cluster.Get(ctx, key, pod)).To(Succeed())
			mounts := mountsOf(pod)

			Expect(claim.Spec.AccessModes).To(ConsistOf(accessMode))
			Expect(claim.Spec.StorageClassName).To(HaveValue(Equal(mapped)))
			Expect(claim.Annotations).To(HaveKeyWithValue("example.com/made-for", "backup"))
			Expect(seLinuxTypeOf(pod)).To(Equal(seLinuxType))
			if storage != "" {
				Expect(mounts).To(HaveLen(1), "volumes of the CSI driver in the pod")
				Expect(strings.Split(mounts[0], ",")[0]).To(Equal(map[bool]string{true: "ro", false: "rw"}[readOnly]))
			}
			expectBackup(ctx, namespace, "Completed")
			expectNothingLeft(ctx)
		},
		Entry("readOnly with spcNoRelabeling",
			`{"storageClass": %q, "readOnly": true, "spcNoRelabeling": true, "annotations": {"example.com/made-for": "backup"}}`,
			corev1.ReadOnlyMany, true, "spc_t", SpecTimeout(specLimit)),
		Entry("spcNoRelabeling without readOnly is ignored",
			`{"storageClass": %q, "spcNoRelabeling": true, "annotations": {"example.com/made-for": "backup"}}`,
			corev1.ReadWriteOnce, false, "", SpecTimeout(specLimit)),
	)
})

// storageClasses are the default storage class and another one of the same driver, changed, which is deleted in the end.
func storageClasses(ctx context.Context, changes ...func(*storagev1.StorageClass)) (source, mapped string) {
	GinkgoHelper()
	list := &storagev1.StorageClassList{}
	Expect(cluster.List(ctx, list)).To(Succeed())
	for _, class := range list.Items {
		if class.Annotations["storageclass.kubernetes.io/is-default-class"] != "true" {
			continue
		}
		other := class.DeepCopy()
		other.ObjectMeta = metav1.ObjectMeta{GenerateName: "e2e-"}
		for _, change := range changes {
			change(other)
		}
		Expect(cluster.Create(ctx, other)).To(Succeed())
		DeferCleanup(func(ctx context.Context) { Expect(client.IgnoreNotFound(cluster.Delete(ctx, other))).To(Succeed()) })
		return class.Name, other.Name
	}
	Fail("the cluster has no default storage class")
	return "", ""
}

func seLinuxTypeOf(pod *corev1.Pod) string {
	if options := pod.Spec.SecurityContext.SELinuxOptions; options != nil {
		return options.Type
	}
	return ""
}

// mountsOf are the options of all mounts that the kubelet of this machine has made for CSI volumes of a pod.
func mountsOf(pod *corev1.Pod) []string {
	GinkgoHelper()
	content, err := os.ReadFile("/proc/self/mountinfo")
	Expect(err).NotTo(HaveOccurred())
	var options []string
	for line := range strings.Lines(string(content)) {
		const mountPoint, mountOptions = 4, 5
		fields := strings.Fields(line)
		if strings.Contains(fields[mountPoint], "/pods/"+string(pod.UID)+"/volumes/kubernetes.io~csi/") {
			options = append(options, fields[mountOptions])
		}
	}
	return options
}
