package expose_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
	"github.com/node-agent/node-agent/pkg/expose"
)

var _ = Describe("Secrets of the storage location in a backup pod", func() {
	key := func(name, key string) *corev1.SecretKeySelector {
		return &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: name}, Key: key}
	}

	DescribeTable("are those that the location needs, once each, and may be missing",
		func(spec velerov1.BackupStorageLocationSpec, paths ...string) {
			before := expose.AgentTemplate{Volumes: []corev1.Volume{{Name: "scratch"}}, Env: []corev1.EnvVar{{Name: "NODE_NAME"}}}
			template := before.WithSecretsOf(&velerov1.BackupStorageLocation{Spec: spec})
			Expect(template.Volumes).To(HaveLen(2))
			projected := template.Volumes[1].Projected
			Expect(projected.DefaultMode).To(HaveValue(BeEquivalentTo(0o400)))
			mounted := []string{}
			for _, source := range projected.Sources {
				Expect(source.Secret.Optional).To(HaveValue(BeTrue()))
				Expect(source.Secret.Items).To(HaveLen(1))
				item := source.Secret.Items[0]
				Expect(item.Path).To(Equal(source.Secret.Name + "/" + item.Key))
				mounted = append(mounted, item.Path)
			}
			Expect(mounted).To(Equal(append([]string{"velero-repo-credentials/repository-password"}, paths...)))
			Expect(template.VolumeMounts).To(ConsistOf(
				corev1.VolumeMount{Name: template.Volumes[1].Name, MountPath: "/location-secrets", ReadOnly: true}))
			Expect(template.Env).To(ContainElement(corev1.EnvVar{Name: expose.SecretsDirVariable, Value: "/location-secrets"}))
			Expect(before.Volumes).To(HaveLen(1), "the template is used for other locations, too")
		},
		Entry("by default", velerov1.BackupStorageLocationSpec{}),
		Entry("with credentials", velerov1.BackupStorageLocationSpec{Credential: key("cloud", "key")}, "cloud/key"),
		Entry("with credentials that name nothing", velerov1.BackupStorageLocationSpec{Credential: key("", "key")}),
		Entry("with certificates in the same Secret", velerov1.BackupStorageLocationSpec{
			Credential:  key("cloud", "key"),
			StorageType: velerov1.StorageType{ObjectStorage: &velerov1.ObjectStorageLocation{CACertRef: key("cloud", "ca")}},
		}, "cloud/key", "cloud/ca"),
		Entry("with one key for everything", velerov1.BackupStorageLocationSpec{
			Credential:  key("cloud", "key"),
			StorageType: velerov1.StorageType{ObjectStorage: &velerov1.ObjectStorageLocation{CACertRef: key("cloud", "key")}},
		}, "cloud/key"),
	)
})
