package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	applicationName = "shop"
	listingEnd      = "end of listing\n"
)

// large makes an application fill its volumes with so much that a backup can be met while it runs.
var large = []string{"--large"}

// application is what is backed up: a namespace with a Deployment that has filled its volumes.
type application struct {
	// args are those of test/e2e/workload.
	args []string
	// class is the storage class of the volumes, the default one if it is empty.
	class string
	// volumes is how many there are, one if it is 0.
	volumes int
	// block makes them devices.
	block bool
	// podSecurity is the level that the namespace enforces, if any; the application keeps to it.
	podSecurity string
}

// deploy makes the namespace and returns its name and what the volumes hold. The namespace is deleted in the end.
func deploy(ctx context.Context, a application) (namespace, listing string) {
	GinkgoHelper()
	created := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "e2e-"}}
	if a.podSecurity != "" {
		created.Labels = map[string]string{podSecurityLabel: a.podSecurity}
	}
	Expect(cluster.Create(ctx, created)).To(Succeed())
	DeferCleanup(deleteNamespace, created.Name)
	for i := range max(a.volumes, 1) {
		Expect(cluster.Create(ctx, a.claim(created.Name, i))).To(Succeed())
	}
	Expect(cluster.Create(ctx, a.deployment(created.Name))).To(Succeed())
	return created.Name, listingOf(ctx, created.Name)
}

func claimName(i int) string { return fmt.Sprintf("%s-%d", applicationName, i) }

func (a application) claim(namespace string, i int) *corev1.PersistentVolumeClaim {
	claim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: claimName(i)},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources: corev1.VolumeResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")},
			},
		},
	}
	if a.class != "" {
		claim.Spec.StorageClassName = &a.class
	}
	if a.block {
		claim.Spec.VolumeMode = new(corev1.PersistentVolumeBlock)
		claim.Spec.Resources.Requests[corev1.ResourceStorage] = resource.MustParse("128Mi")
	}
	return claim
}

func (a application) deployment(namespace string) *appsv1.Deployment {
	labels := map[string]string{"app": applicationName}
	pod := corev1.PodSpec{
		TerminationGracePeriodSeconds: new(int64(1)),
		Containers:                    []corev1.Container{{Name: applicationName, Image: workloadImage, Args: slices.Clone(a.args)}},
	}
	container := &pod.Containers[0]
	for i := range max(a.volumes, 1) {
		name, path := claimName(i), fmt.Sprintf("/data/%d", i)
		pod.Volumes = append(pod.Volumes, corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: name},
		}})
		container.Args = append(container.Args, path)
		if a.block {
			container.VolumeDevices = append(container.VolumeDevices, corev1.VolumeDevice{Name: name, DevicePath: path})
		} else {
			container.VolumeMounts = append(container.VolumeMounts, corev1.VolumeMount{Name: name, MountPath: path})
		}
	}
	if a.podSecurity == restricted {
		pod.SecurityContext = &corev1.PodSecurityContext{
			RunAsNonRoot: new(true), RunAsUser: new(int64(1000)), RunAsGroup: new(int64(1000)), FSGroup: new(int64(1000)),
			// What has been restored keeps the modes that it was backed up with.
			FSGroupChangePolicy: new(corev1.FSGroupChangeOnRootMismatch),
			SeccompProfile:      &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		}
		container.SecurityContext = &corev1.SecurityContext{
			AllowPrivilegeEscalation: new(false), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		}
	}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: applicationName},
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Strategy: appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: pod},
		},
	}
}

// listingOf waits until the application of a namespace has printed what its volumes hold.
func listingOf(ctx context.Context, namespace string) string {
	GinkgoHelper()
	var listing string
	Eventually(func(g Gomega) {
		list := &corev1.PodList{}
		g.Expect(cluster.List(ctx, list, client.InNamespace(namespace), client.MatchingLabels{"app": applicationName})).To(Succeed())
		g.Expect(list.Items).To(HaveLen(1))
		log, err := pods.CoreV1().Pods(namespace).GetLogs(list.Items[0].Name, &corev1.PodLogOptions{}).DoRaw(ctx)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(strings.HasSuffix(string(log), listingEnd)).To(BeTrue(), "the listing is not complete")
		listing = string(log)
	}).Should(Succeed())
	return listing
}

// addData adds a file of so many bytes to the first volume, and returns what all volumes hold then.
func addData(ctx context.Context, namespace string, bytes int) string {
	GinkgoHelper()
	run(ctx, "kubectl", "exec", "-n", namespace, "deployment/"+applicationName, "--", "/workload", fmt.Sprintf("--add=%d", bytes), "/data/0")
	Expect(cluster.DeleteAllOf(ctx, &corev1.Pod{}, client.InNamespace(namespace))).To(Succeed())
	Eventually(func(g Gomega) {
		list := &corev1.PodList{}
		g.Expect(cluster.List(ctx, list, client.InNamespace(namespace))).To(Succeed())
		g.Expect(list.Items).To(HaveLen(1))
		g.Expect(list.Items[0].DeletionTimestamp).To(BeNil())
	}).Should(Succeed())
	return listingOf(ctx, namespace)
}

func deleteNamespace(ctx context.Context, name string) {
	GinkgoHelper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	Expect(client.IgnoreNotFound(cluster.Delete(ctx, namespace))).To(Succeed())
	Eventually(func() bool {
		return apierrors.IsNotFound(cluster.Get(ctx, client.ObjectKeyFromObject(namespace), namespace))
	}).Should(BeTrue(), "namespace %s is still there", name)
}
