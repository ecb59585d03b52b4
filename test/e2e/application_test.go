package e2e

import (
	"context"
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

// deploy makes a namespace with an application that has filled its volume, and returns the name of the namespace and what the
// volume holds. The namespace is deleted in the end.
func deploy(ctx context.Context, args ...string) (namespace, listing string) {
	GinkgoHelper()
	created := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "e2e-"}}
	Expect(cluster.Create(ctx, created)).To(Succeed())
	DeferCleanup(deleteNamespace, created.Name)

	objectMeta := metav1.ObjectMeta{Namespace: created.Name, Name: applicationName}
	labels := map[string]string{"app": applicationName}
	Expect(cluster.Create(ctx, &corev1.PersistentVolumeClaim{
		ObjectMeta: objectMeta,
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources: corev1.VolumeResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")},
			},
		},
	})).To(Succeed())
	Expect(cluster.Create(ctx, &appsv1.Deployment{
		ObjectMeta: objectMeta,
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Strategy: appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{
					TerminationGracePeriodSeconds: new(int64(1)),
					Containers: []corev1.Container{{
						Name: applicationName, Image: workloadImage, Args: append(args, "/data"),
						VolumeMounts: []corev1.VolumeMount{{Name: "data", MountPath: "/data"}},
					}},
					Volumes: []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{
						PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: applicationName},
					}}},
				},
			},
		},
	})).To(Succeed())
	return created.Name, listingOf(ctx, created.Name)
}

// listingOf waits until the application of a namespace has printed what its volume holds.
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

func deleteNamespace(ctx context.Context, name string) {
	GinkgoHelper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	Expect(client.IgnoreNotFound(cluster.Delete(ctx, namespace))).To(Succeed())
	Eventually(func() bool {
		return apierrors.IsNotFound(cluster.Get(ctx, client.ObjectKeyFromObject(namespace), namespace))
	}).Should(BeTrue(), "namespace %s is still there", name)
}
