package expose_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/node-agent/node-agent/pkg/config"
	"github.com/node-agent/node-agent/pkg/expose"
)

// veleroDaemonSet is like the one of `velero install --use-node-agent`.
func veleroDaemonSet(args ...string) *appsv1.DaemonSet {
	hostPath := corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/var/lib/kubelet/pods"}}
	return &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: "velero", Name: "node-agent"},
		Spec: appsv1.DaemonSetSpec{Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{
				Labels:      map[string]string{"role": "node-agent", "azure.workload.identity/use": "true"},
				Annotations: map[string]string{"iam.amazonaws.com/role": "backup", "other": "x"},
			},
			Spec: corev1.PodSpec{
				ServiceAccountName: "velero",
				Tolerations: []corev1.Toleration{
					{Key: "dedicated", Operator: corev1.TolerationOpExists}, {Key: "CriticalAddonsOnly", Operator: corev1.TolerationOpExists},
				},
				HostAliases:      []corev1.HostAlias{{IP: "10.0.0.1", Hostnames: []string{"objects.example.com"}}},
				DNSPolicy:        corev1.DNSNone,
				DNSConfig:        &corev1.PodDNSConfig{Nameservers: []string{"10.0.0.53"}},
				ImagePullSecrets: []corev1.LocalObjectReference{{Name: "registry"}},
				Volumes: []corev1.Volume{
					{Name: "host-pods", VolumeSource: hostPath},
					{Name: "host-plugins", VolumeSource: hostPath},
					{Name: "scratch", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
					{Name: "cloud-credentials", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "cloud-credentials"}}},
				},
				Containers: []corev1.Container{{
					Name: "node-agent", Image: "velero/velero:v1.18.3", Args: append([]string{"node-agent", "server", "--features="}, args...),
					Env: []corev1.EnvVar{
						{Name: "AWS_SHARED_CREDENTIALS_FILE", Value: "/credentials/cloud"},
						{Name: "GOMEMLIMIT", ValueFrom: &corev1.EnvVarSource{ResourceFieldRef: &corev1.ResourceFieldSelector{
							ContainerName: "node-agent", Resource: "limits.memory",
						}}},
					},
					EnvFrom: []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "proxy"}}}},
					VolumeMounts: []corev1.VolumeMount{
						{Name: "host-pods", MountPath: "/host_pods"}, {Name: "host-plugins", MountPath: "/var/lib/kubelet/plugins"},
						{Name: "scratch", MountPath: "/scratch"}, {Name: "cloud-credentials", MountPath: "/credentials"},
					},
				}},
			},
		}},
	}
}

var _ = Describe("what a backup pod takes over from the agent's DaemonSet", func() {
	It("is image, account, credentials and tolerations, but nothing of the node", func() {
		template, err := expose.TemplateOf(veleroDaemonSet(), nil)
		Expect(err).NotTo(HaveOccurred())
		Expect(template.Image).To(Equal("velero/velero:v1.18.3"))
		Expect(template.ServiceAccountName).To(Equal("velero"))
		Expect(template.ImagePullSecrets).To(ConsistOf(HaveField("Name", "registry")))
		Expect(template.Tolerations).To(ConsistOf(HaveField("Key", "dedicated"), HaveField("Key", "CriticalAddonsOnly")))
		Expect(template.HostAliases).To(ConsistOf(HaveField("IP", "10.0.0.1")))
		Expect(template.DNSPolicy).To(Equal(corev1.DNSNone))
		Expect(template.DNSConfig.Nameservers).To(ConsistOf("10.0.0.53"))
		Expect(template.Env).To(ConsistOf(HaveField("Name", "AWS_SHARED_CREDENTIALS_FILE"), HaveField("Name", "GOMEMLIMIT")))
		Expect(template.EnvFrom).To(ConsistOf(HaveField("SecretRef.Name", "proxy")))
		Expect(template.Volumes).To(ConsistOf(HaveField("Name", "scratch"), HaveField("Name", "cloud-credentials")))
		Expect(template.VolumeMounts).To(ConsistOf(HaveField("Name", "scratch"), HaveField("Name", "cloud-credentials")))
		Expect(template.Labels).To(Equal(map[string]string{"azure.workload.identity/use": "true"}))
		Expect(template.Annotations).To(Equal(map[string]string{"iam.amazonaws.com/role": "backup"}))
	})

	It("all reaches the backup pod", func() {
		template, err := expose.TemplateOf(veleroDaemonSet("--log-level=debug"), nil)
		Expect(err).NotTo(HaveOccurred())
		pod := podOf(config.Upload{}, template)
		Expect(pod.Spec.ServiceAccountName).To(Equal("velero"))
		Expect(pod.Spec.ImagePullSecrets).To(Equal(template.ImagePullSecrets))
		Expect(pod.Spec.Tolerations).To(Equal(template.Tolerations))
		Expect(pod.Spec.HostAliases).To(Equal(template.HostAliases))
		Expect(pod.Spec.DNSPolicy).To(Equal(template.DNSPolicy))
		Expect(pod.Spec.DNSConfig).To(Equal(template.DNSConfig))
		Expect(pod.Spec.Volumes).To(ContainElements(template.Volumes))
		Expect(pod.Spec.Volumes).To(HaveEach(HaveField("HostPath", BeNil())))
		mover := pod.Spec.Containers[0]
		Expect(mover.Image).To(Equal(template.Image))
		Expect(mover.Env).To(ContainElements(template.Env))
		Expect(mover.EnvFrom).To(Equal(template.EnvFrom))
		Expect(mover.VolumeMounts[:2]).To(Equal(template.VolumeMounts))
		Expect(mover.Args).To(ContainElement("--log-level=debug"))
	})

	It("tells the resources of the backup pod's own container, which has another name", func() {
		template, err := expose.TemplateOf(veleroDaemonSet(), nil)
		Expect(err).NotTo(HaveOccurred())
		Expect(template.Env[1].ValueFrom.ResourceFieldRef).To(Equal(&corev1.ResourceFieldSelector{Resource: "limits.memory"}))
	})

	It("leaves the DaemonSet as it was", func() {
		daemonSet := veleroDaemonSet()
		_, err := expose.TemplateOf(daemonSet, nil)
		Expect(err).NotTo(HaveOccurred())
		Expect(daemonSet).To(Equal(veleroDaemonSet()))
	})

	DescribeTable("are its logging flags", func(args, want []string) {
		template, err := expose.TemplateOf(veleroDaemonSet(args...), nil)
		Expect(err).NotTo(HaveOccurred())
		Expect(template.LogArgs).To(Equal(want))
	},
		Entry("none", []string{"--node-agent-configmap=x"}, nil),
		Entry("joined", []string{"--log-level=debug", "--log-format=json"}, []string{"--log-level=debug", "--log-format=json"}),
		Entry("apart", []string{"--log-level", "debug", "--metrics-address=:1"}, []string{"--log-level", "debug"}),
		Entry("last, without a value", []string{"--log-level"}, nil),
		Entry("alike but other flags", []string{"--log-levels=debug"}, nil),
	)

	DescribeTable("is the agent's container", func(names []string, image string) {
		daemonSet := veleroDaemonSet()
		daemonSet.Spec.Template.Spec.Containers = nil
		for _, name := range names {
			daemonSet.Spec.Template.Spec.Containers = append(daemonSet.Spec.Template.Spec.Containers,
				corev1.Container{Name: name, Image: "image-of-" + name})
		}
		template, err := expose.TemplateOf(daemonSet, nil)
		if image == "" {
			Expect(err).To(MatchError(ContainSubstring("none is named node-agent")))
			return
		}
		Expect(err).NotTo(HaveOccurred())
		Expect(template.Image).To(Equal(image))
	},
		Entry("beside a sidecar", []string{"istio-proxy", "node-agent"}, "image-of-node-agent"),
		Entry("alone under another name", []string{"velero"}, "image-of-velero"),
		Entry("not to be told among others", []string{"a", "b"}, ""),
		Entry("missing", nil, ""),
	)
})
