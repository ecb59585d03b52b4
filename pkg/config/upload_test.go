package config_test

import (
	"encoding/json"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/node-agent/node-agent/pkg/config"
	"github.com/node-agent/node-agent/pkg/config/manifest"
	"github.com/node-agent/node-agent/pkg/config/schema"
)

const manySettings = `
backupPVC:
  gold:
    storageClass: silver
    readOnly: true
    spcNoRelabeling: true
    annotations: {b: "2", a: "1"}
    secretNames: [key]
  plain: {}
loadAffinity:
  - nodeSelector: {matchLabels: {disk: any}}
  - nodeSelector: {matchLabels: {disk: silver}}
    storageClass: silver
  - nodeSelector: {matchLabels: {disk: second}}
    storageClass: silver
loadConcurrency:
  globalConfig: 3
  perNodeConfig:
    - {nodeSelector: {matchLabels: {big: "yes"}}, number: 8}
    - {nodeSelector: {matchExpressions: [{key: old, operator: Exists}]}, number: 2}
podResources: {cpuRequest: 500m, memoryLimit: 1Gi}
priorityClassName: low
podLabels: {team: storage}
podAnnotations: {note: x}
`

func decode(text string) *config.Config {
	GinkgoHelper()
	cfg, err := schema.Decoder{}.Decode("config", []byte(text))
	Expect(err).NotTo(HaveOccurred())
	return cfg
}

var _ = Describe("what counts for a DataUpload", func() {
	DescribeTable("takes loadAffinity by the class of the backupPVC", func(sourceClass, want string) {
		Expect(config.Describe(decode(manySettings).ForUpload(sourceClass).NodeSelector)).To(Equal(want))
	},
		Entry("the class that backupPVC sets", "gold", "disk=silver"),
		Entry("the source's own, first rule of several", "silver", "disk=silver"),
		Entry("a class without a rule", "plain", "disk=any"),
	)

	It("chooses no node where no rule fits", func() {
		cfg := decode(`{"loadAffinity": [{"nodeSelector": {}, "storageClass": "gold"}]}`)
		Expect(cfg.ForUpload("silver").NodeSelector).To(BeNil())
		Expect(cfg.ForUpload("gold").NodeSelector).To(Equal(&metav1.LabelSelector{}))
	})

	DescribeTable("takes the smallest number of the rules that match a node", func(labels map[string]string, want int) {
		Expect(decode(manySettings).Concurrency(labels)).To(Equal(want))
	},
		Entry("no rule", map[string]string{"big": "no"}, 3),
		Entry("one rule", map[string]string{"big": "yes"}, 8),
		Entry("two rules", map[string]string{"big": "yes", "old": ""}, 2),
		Entry("no labels", nil, 3),
	)

	It("moves one volume at a time by default", func() {
		Expect(config.Default().Concurrency(nil)).To(Equal(1))
		Expect((&config.Config{}).Concurrency(nil)).To(Equal(1))
	})

	It("is the same after it was kept as JSON", func() {
		for _, class := range []string{"gold", "plain", "other"} {
			upload := decode(manySettings).ForUpload(class)
			kept, err := json.Marshal(upload)
			Expect(err).NotTo(HaveOccurred())
			var again config.Upload
			Expect(json.Unmarshal(kept, &again)).To(Succeed())
			Expect(again.Summary()).To(Equal(upload.Summary()))
			Expect(again.BackupPVC).To(Equal(upload.BackupPVC))
			Expect(again.NodeSelector).To(Equal(upload.NodeSelector))
		}
	})

	It("keeps nothing that is not set", func() {
		Expect(json.Marshal(config.Default().ForUpload("gold"))).To(MatchJSON("{}"))
	})

	It("is summed up in one line", func() {
		cm := &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: "velero", Name: "agent", ResourceVersion: "17"},
			Data:       map[string]string{"c.yaml": manySettings},
		}
		cfg := manifest.CheckConfigMap(schema.Decoder{}, cm).Config
		Expect(cfg.ForUpload("gold").Summary()).To(Equal("configuration of configmap velero/agent (resource version 17): " +
			"backupPVC of class silver, readOnly, spcNoRelabeling, annotations a b, secrets key, nodes disk=silver, " +
			"requests cpu=500m, limits memory=1Gi, priority class low, pod labels team, pod annotations note"))
		cm.Data["c.yaml"] = "{}"
		cfg = manifest.CheckConfigMap(schema.Decoder{}, cm).Config
		Expect(cfg.ForUpload("gold").Summary()).To(Equal("configuration of configmap velero/agent (resource version 17): defaults"))
		Expect(config.Default().ForUpload("gold").Summary()).
			To(Equal("default configuration, because no node-agent ConfigMap is given"))
	})
})
