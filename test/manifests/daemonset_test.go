package manifests_test

import (
	"bytes"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/node-agent/node-agent/cmd/node-agent/app"
	"github.com/node-agent/node-agent/pkg/expose"
)

var _ = Describe("DaemonSet", func() {
	var (
		daemonSet *appsv1.DaemonSet
		container corev1.Container
	)

	BeforeEach(func() {
		daemonSet = only[*appsv1.DaemonSet]("agent")
		Expect(daemonSet.Spec.Template.Spec.Containers).To(HaveLen(1), "stock Velero wants exactly one")
		container = daemonSet.Spec.Template.Spec.Containers[0]
	})

	It("is what Velero looks for", func() {
		Expect(daemonSet.Name).To(Equal(expose.AgentDaemonSet))
		Expect(daemonSet.Namespace).To(Equal(namespace))
		Expect(daemonSet.Labels).To(HaveKeyWithValue("component", "velero"))
		Expect(daemonSet.Spec.Selector.MatchLabels).To(Equal(map[string]string{"name": "node-agent"}))
		Expect(daemonSet.Spec.Template.Labels).To(Equal(map[string]string{
			"component": "velero", "name": "node-agent", "role": "node-agent",
		}))
		Expect(container.Name).To(Equal("node-agent"))
		Expect(container.Command).To(Equal([]string{"/velero"}))
	})

	It("has a command line that the program understands", func() {
		var stdout, stderr bytes.Buffer
		code := app.Main(GinkgoT().Context(), append(container.Args, "--help"), &stdout, &stderr)
		Expect(code).To(BeZero(), stderr.String())
		Expect(stdout.String()).To(ContainSubstring("--data-mover-prepare-timeout"))
	})

	It("needs nothing of its node and no rights on it", func() {
		spec := daemonSet.Spec.Template.Spec
		for _, volume := range spec.Volumes {
			Expect(volume.HostPath).To(BeNil(), volume.Name)
		}
		Expect([]bool{spec.HostNetwork, spec.HostPID, spec.HostIPC}).To(HaveEach(false))
		Expect(spec.SecurityContext.RunAsNonRoot).To(HaveValue(BeTrue()))
		Expect(container.SecurityContext.AllowPrivilegeEscalation).To(HaveValue(BeFalse()))
		Expect(container.SecurityContext.ReadOnlyRootFilesystem).To(HaveValue(BeTrue()))
		Expect(container.SecurityContext.Capabilities.Drop).To(ConsistOf(corev1.Capability("ALL")))
	})

	It("has probes and a metrics port that exist", func() {
		ports := map[string]int32{}
		for _, port := range container.Ports {
			ports[port.Name] = port.ContainerPort
		}
		Expect(ports).To(Equal(map[string]int32{"metrics": 8085, "health": 8081}), "the defaults of the flags")
		Expect(container.LivenessProbe.HTTPGet.Port).To(Equal(intstr.FromString("health")))
		Expect(container.LivenessProbe.HTTPGet.Path).To(Equal("/healthz"))
		Expect(container.ReadinessProbe.HTTPGet.Port).To(Equal(intstr.FromString("health")))
		Expect(container.ReadinessProbe.HTTPGet.Path).To(Equal("/readyz"))
	})

	It("hands namespace, node, credentials and scratch space down to backup pods", func() {
		template, err := expose.TemplateOf(daemonSet, nil)
		Expect(err).NotTo(HaveOccurred())
		names := []string{}
		for _, variable := range template.Env {
			names = append(names, variable.Name)
		}
		Expect(names).To(ContainElements("NODE_NAME", "VELERO_NAMESPACE", "VELERO_SCRATCH_DIR", "AWS_SHARED_CREDENTIALS_FILE",
			"AZURE_CREDENTIALS_FILE", "GOOGLE_APPLICATION_CREDENTIALS"))
		paths := []string{}
		for _, mount := range template.VolumeMounts {
			paths = append(paths, mount.MountPath)
		}
		Expect(paths).To(ConsistOf("/scratch", "/tmp", "/credentials"))
	})

	It("runs as a service account of config/rbac", func() {
		accounts := []string{}
		for _, m := range load("rbac") {
			object, err := decode(m)
			Expect(err).NotTo(HaveOccurred())
			if account, ok := object.(*corev1.ServiceAccount); ok {
				accounts = append(accounts, account.Name)
			}
		}
		Expect(accounts).To(ContainElement(daemonSet.Spec.Template.Spec.ServiceAccountName))
	})
})
