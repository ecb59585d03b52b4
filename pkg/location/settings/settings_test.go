package settings_test

import (
	"fmt"
	"os"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
	"github.com/node-agent/node-agent/pkg/location/settings"
)

func spec(provider string, config map[string]string) velerov1.BackupStorageLocationSpec {
	return velerov1.BackupStorageLocationSpec{
		Provider: provider, Config: config,
		StorageType: velerov1.StorageType{ObjectStorage: &velerov1.ObjectStorageLocation{Bucket: "b"}},
	}
}

var _ = Describe("A provider", func() {
	DescribeTable("is found by its name", func(provider string, config map[string]string, expected string) {
		Expect(settings.Provider(spec(provider, config))).To(Equal(expected))
	},
		Entry(nil, "aws", nil, settings.AWS),
		Entry(nil, "velero.io/aws", nil, settings.AWS),
		Entry(nil, "azure", nil, settings.Azure),
		Entry(nil, "gcp", nil, settings.GCP),
		Entry(nil, "velero.io/fs", nil, settings.Filesystem),
		Entry(nil, "ceph.example.com/rgw", map[string]string{"s3Url": "http://rgw"}, settings.AWS),
	)

	DescribeTable("is not known", func(provider string) {
		_, err := settings.Provider(spec(provider, nil))
		Expect(err).To(MatchError(ContainSubstring("(known: velero.io/aws, velero.io/azure, velero.io/fs, velero.io/gcp, and any provider with config.s3Url)")))
	},
		Entry(nil, "ceph.example.com/rgw"), Entry(nil, ""),
	)
})

var _ = Describe("Settings", func() {
	It("that are known have a value as an example, and stand once", func() {
		for _, provider := range settings.Providers() {
			var names []string
			for _, setting := range settings.Of(provider) {
				Expect(setting.Example).NotTo(BeEmpty(), setting.Name)
				Expect(names).NotTo(ContainElement(setting.Name))
				names = append(names, setting.Name)
			}
		}
	})

	DescribeTable("without effect are named", func(provider string, config map[string]string, expected ...string) {
		var texts []string
		for _, remark := range settings.WithoutEffect(spec(provider, config)) {
			texts = append(texts, fmt.Sprintf("%s %v", remark, remark.Harmless))
		}
		Expect(strings.Join(texts, "\n")).To(Equal(strings.Join(expected, "\n")))
	},
		Entry("none", "aws", nil),
		Entry("none that counts", "aws", map[string]string{"region": "r", "kmsKeyId": "k", "s3ForcePathStyle": "false"}),
		Entry("none that is empty", "aws", map[string]string{"publicUrl": "", "unknown": ""}),
		Entry("those of Velero's own", "aws", map[string]string{"publicUrl": "https://x", "signatureVersion": "1"},
			"config.publicUrl: only for the links that Velero's server signs for its command line true",
			"config.signatureVersion: only for the links that Velero's server signs for its command line true"),
		Entry("those that nobody knows", "aws", map[string]string{"storageClass": "COLD"}, "config.storageClass: not known for provider velero.io/aws false"),
		Entry("those of another provider", "gcp", map[string]string{"region": "r"}, "config.region: not known for provider velero.io/gcp false"),
		Entry("those in other letters", "aws", map[string]string{"s3URL": "https://x"},
			"config.s3URL: not known for provider velero.io/aws: upper and lower case count, s3Url may be meant false"),
		Entry("certificates in the wrong place", "aws", map[string]string{"caCert": "x"},
			"config.caCert: not known for provider velero.io/aws: certificates belong into spec.objectStorage false"),
		Entry("a bucket beside the bucket", "aws", map[string]string{"bucket": "c"}, "config.bucket: spec.objectStorage counts false"),
		Entry("of a provider that is not known", "x/y", map[string]string{"a": "b"}),
	)

	It("are all in the documentation, and no others", func() {
		content, err := os.ReadFile("../../../docs/locations.md")
		Expect(err).NotTo(HaveOccurred())
		var documented, expected []string
		for line := range strings.Lines(string(content)) {
			if cells := strings.Split(line, "|"); len(cells) > 3 && strings.Contains(cells[2], "`") {
				documented = append(documented, strings.TrimSpace(cells[1])+" "+strings.Trim(strings.TrimSpace(cells[2]), "`"))
			}
		}
		for _, provider := range settings.Providers() {
			for _, setting := range settings.Of(provider) {
				expected = append(expected, strings.TrimPrefix(provider, "velero.io/")+" "+setting.Name)
			}
		}
		Expect(documented).To(ConsistOf(expected))
	})
})
