package expose_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
	"github.com/node-agent/node-agent/pkg/expose"
)

var _ = Describe("the agent's own account", func() {
	aws := velerov1.BackupStorageLocation{Spec: velerov1.BackupStorageLocationSpec{Provider: "aws"}}
	withVolume := func(volume corev1.VolumeSource) func(*appsv1.DaemonSet) {
		return func(d *appsv1.DaemonSet) {
			d.Spec.Template.Spec.Volumes = append(d.Spec.Template.Spec.Volumes, corev1.Volume{Name: "more", VolumeSource: volume})
		}
	}
	credentials := func(d *appsv1.DaemonSet) *corev1.Volume { return &d.Spec.Template.Spec.Volumes[3] }
	config := func(provider, file string) velerov1.BackupStorageLocation {
		return velerov1.BackupStorageLocation{Spec: velerov1.BackupStorageLocationSpec{
			Provider: provider, Config: map[string]string{"credentialsFile": file},
		}}
	}

	DescribeTable("is needed wherever a cloud identity may be bound to it",
		func(location velerov1.BackupStorageLocation, change func(*appsv1.DaemonSet), why string) {
			daemonSet := veleroDaemonSet()
			daemonSet.Spec.Template.Labels = nil
			if change != nil {
				change(daemonSet)
			}
			template, err := expose.TemplateOf(daemonSet, nil)
			Expect(err).NotTo(HaveOccurred())
			needed := template.AccountNeeded(&location)
			if why == "" {
				Expect(needed).To(BeEmpty())
			}
			Expect(needed).To(ContainSubstring(why))
		},
		Entry("not with the Secret of `velero install --secret-file`", aws, nil, ""),
		Entry("not with that, and the full name of the provider",
			velerov1.BackupStorageLocation{Spec: velerov1.BackupStorageLocationSpec{Provider: "velero.io/aws"}}, nil, ""),
		Entry("not with a Secret of the location", velerov1.BackupStorageLocation{Spec: velerov1.BackupStorageLocationSpec{
			Provider: "gcp", Credential: &corev1.SecretKeySelector{Key: "cloud"},
		}}, nil, ""),
		Entry("not with a file in a Secret that the location names", config("gcp", "/credentials/other"), nil, ""),
		Entry("with another file", config("aws", "/tmp/other"), nil, "no Secret"),
		Entry("with a file beside the Secret", config("aws", "/credentials-of/others"), nil, "no Secret"),
		Entry("without a Secret", aws, func(d *appsv1.DaemonSet) { credentials(d).Secret = nil }, "no Secret"),
		Entry("with a Secret that may be missing", aws, func(d *appsv1.DaemonSet) { credentials(d).Secret.Optional = new(true) }, "no Secret"),
		Entry("with the Secret of another provider",
			velerov1.BackupStorageLocation{Spec: velerov1.BackupStorageLocationSpec{Provider: "gcp"}}, nil, "no Secret"),
		Entry("with a provider that is not known",
			velerov1.BackupStorageLocation{Spec: velerov1.BackupStorageLocationSpec{Provider: "other"}}, nil, "no Secret"),
		Entry("with the identity of an Azure workload", aws, func(d *appsv1.DaemonSet) {
			d.Spec.Template.Labels = map[string]string{"azure.workload.identity/use": "true"}
		}, "azure.workload.identity/use"),
		Entry("with a token of the account for somebody else", aws, withVolume(corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
			Sources: []corev1.VolumeProjection{{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Audience: "sts"}}},
		}}), "volume more"),
		Entry("with Secrets that a driver gets by it", aws,
			withVolume(corev1.VolumeSource{CSI: &corev1.CSIVolumeSource{Driver: "secrets-store.csi.k8s.io"}}), "volume more"),
	)

	It("is needed if the agent's pod was given an identity", func() {
		template, err := expose.TemplateOf(veleroDaemonSet(), nil)
		Expect(err).NotTo(HaveOccurred())
		template.Labels, template.Identity = nil, "AWS_WEB_IDENTITY_TOKEN_FILE"
		Expect(template.AccountNeeded(&aws)).To(HavePrefix("AWS_WEB_IDENTITY_TOKEN_FILE"))
	})
})
