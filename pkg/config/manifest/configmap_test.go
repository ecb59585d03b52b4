package manifest_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/node-agent/node-agent/pkg/config/manifest"
	"github.com/node-agent/node-agent/pkg/config/problem"
	"github.com/node-agent/node-agent/pkg/config/schema"
)

var _ = Describe("CheckConfigMap", func() {
	configMap := func(data map[string]string) *corev1.ConfigMap {
		return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "velero", Name: "node-agent-config"}, Data: data}
	}

	It("reads the one key, whatever its name", func() {
		checked := manifest.CheckConfigMap(schema.Decoder{}, configMap(map[string]string{"anything": `{"backupPVC": {"gold": {"readOnly": true}}}`}))
		Expect(checked.Err()).NotTo(HaveOccurred())
		Expect(checked.Config.BackupPVC["gold"].ReadOnly).To(BeTrue())
	})

	It("names the ConfigMap and the key in errors and warnings", func() {
		checked := manifest.CheckConfigMap(schema.Decoder{}, configMap(map[string]string{"node-agent-config.json": `{"backupPVC": 1}`}))
		Expect(checked.Err()).To(MatchError("configmap velero/node-agent-config, key node-agent-config.json:1:15: backupPVC: " +
			"found number 1, expected an object"))
		checked = manifest.CheckConfigMap(schema.Decoder{}, configMap(map[string]string{"config.yaml": "privilegedFsBackup: true\n"}))
		Expect(checked.Err()).NotTo(HaveOccurred())
		Expect(problem.Lines(checked.Source, checked.Warnings)).To(Equal([]string{"configmap velero/node-agent-config, key config.yaml:1:1: privilegedFsBackup: " +
			"checked, but without effect"}))
	})

	DescribeTable("wants exactly one key with text", func(data map[string]string, binary map[string][]byte, want string) {
		cm := configMap(data)
		cm.BinaryData = binary
		checked := manifest.CheckConfigMap(schema.Decoder{}, cm)
		Expect(checked.Config).To(BeNil())
		Expect(checked.Err()).To(BeAssignableToTypeOf(&problem.Error{}))
		Expect(checked.Err()).To(MatchError("configmap velero/node-agent-config: " + want))
	},
		Entry("no data", nil, nil, "found no key in data, expected exactly one with the configuration"),
		Entry("empty data", map[string]string{}, nil, "found no key in data, expected exactly one with the configuration"),
		Entry("two keys", map[string]string{"b.json": "{}", "a.json": "{}"}, nil,
			`found 2 keys in data ("a.json", "b.json"), expected exactly one; merge them into one, or remove the others`),
		Entry("binary data", nil, map[string][]byte{"a.json": {0xff}},
			`found binaryData with "a.json", expected text in data; save the file as UTF-8 before the ConfigMap is made from it`),
		Entry("binary data beside data", map[string]string{"a.json": "{}"}, map[string][]byte{"c": {0}, "b": {0}},
			`found binaryData with "b", "c", expected text in data; save the file as UTF-8 before the ConfigMap is made from it`),
	)
})
