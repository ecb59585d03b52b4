package schema_test

import (
	"errors"
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/node-agent/node-agent/pkg/config"
	"github.com/node-agent/node-agent/pkg/config/problem"
	"github.com/node-agent/node-agent/pkg/config/schema"
)

var _ = Describe("Decode", func() {
	It("gives the settings of each storage class", func() {
		cfg, err := schema.Decoder{}.Decode(source, []byte(`{"backupPVC": {
			"gold": {"storageClass": "silver", "readOnly": true, "spcNoRelabeling": true, "annotations": {"a": "", "b": "c"}},
			"bronze": null
		}}`))
		Expect(err).NotTo(HaveOccurred())
		Expect(cfg.BackupPVC).To(Equal(map[string]config.BackupPVC{
			"gold": {
				StorageClass: "silver", ReadOnly: true, SPCNoRelabeling: true,
				Annotations: map[string]string{"a": "", "b": "c"},
			},
			"bronze": {},
		}))
	})

	It("reads JSON and YAML to the same effect", func() {
		fromJSON, err := schema.Decoder{}.Decode(source, []byte(`{"podLabels": {"a": "b"}, "backupPVC": {"gold": {"readOnly": true}}}`))
		Expect(err).NotTo(HaveOccurred())
		fromYAML, err := schema.Decoder{}.Decode(source, []byte("podLabels: {a: b}\nbackupPVC:\n  gold:\n    readOnly: true\n"))
		Expect(err).NotTo(HaveOccurred())
		Expect(fromYAML.BackupPVC).To(Equal(fromJSON.BackupPVC))
		Expect(fromYAML.PodLabels).To(Equal(fromJSON.PodLabels))
	})

	It("keeps each value of podResources on its own", func() {
		cfg, err := schema.Decoder{}.Decode(source, []byte(`{"podResources": {"cpuLimit": "1500m"}}`))
		Expect(err).NotTo(HaveOccurred())
		Expect(cfg.PodResources.CPULimit.Cmp(resource.MustParse("1.5"))).To(BeZero())
		Expect(cfg.PodResources.MemoryLimit.IsZero()).To(BeTrue())
	})

	It("fills in defaults, which are those without a ConfigMap", func() {
		cfg, err := schema.Decoder{}.Decode(source, []byte("{}"))
		Expect(err).NotTo(HaveOccurred())
		Expect(cfg).To(Equal(config.Default()))
		Expect(cfg.LoadConcurrency.GlobalConfig).To(Equal(1))
		Expect(cfg.LoadConcurrency.PrepareQueueLength).To(BeZero())
	})

	It("does not let one decoding change another", func() {
		config.Default().LoadConcurrency.GlobalConfig = 7
		Expect(config.Default().LoadConcurrency.GlobalConfig).To(Equal(1))
	})

	It("holds the parts of a problem for programs to use", func() {
		_, err := schema.Decoder{}.Decode("file.yaml", []byte("backupPVC:\n  gold:\n    redOnly: true\n"))
		invalid, ok := errors.AsType[*problem.Error](err)
		Expect(ok).To(BeTrue())
		Expect(invalid.Source).To(Equal("file.yaml"))
		Expect(invalid.Problems).To(Equal([]problem.Problem{{
			Line: 3, Column: 5, Path: "backupPVC.gold.redOnly", Message: "unknown key",
			Expected:   "storageClass, readOnly, spcNoRelabeling, readWriteOncePod, annotations, secretNames or configMapNames",
			Suggestion: `did you mean "readOnly"?`,
		}}))
	})

	It("refuses a text above 1 MiB and takes one of just that size", func() {
		padded := func(size int) []byte { return []byte("{}" + strings.Repeat(" ", size-len("{}"))) }
		_, err := schema.Decoder{}.Decode(source, padded(1<<20))
		Expect(err).NotTo(HaveOccurred())
		_, err = schema.Decoder{}.Decode(source, padded(1<<20+1))
		Expect(err).To(MatchError("config:1:1: the text is too large: found 1048577 bytes, expected at most 1048576"))
	})

	It("applies the limit of the API server to the size of annotations", func() {
		annotations := func(size int) []byte {
			return fmt.Appendf(nil, `{"backupPVC": {"gold": {"annotations": {"a": "%s"}}}}`, strings.Repeat("x", size-len("a")))
		}
		_, err := schema.Decoder{}.Decode(source, annotations(256<<10))
		Expect(err).NotTo(HaveOccurred())
		_, err = schema.Decoder{}.Decode(source, annotations(256<<10+1))
		Expect(err).To(MatchError("config:1:40: backupPVC.gold.annotations: the annotations are too large: " +
			"found 262145 bytes, expected at most 262144"))
	})

	It("accepts 32 levels of nesting and no more", func() {
		_, err := schema.Decoder{}.Decode(source, []byte(strings.Repeat("[", 32)+strings.Repeat("]", 32)))
		Expect(err).To(MatchError(ContainSubstring("found a list, expected an object")))
		_, err = schema.Decoder{}.Decode(source, []byte(strings.Repeat("[", 33)+strings.Repeat("]", 33)))
		Expect(err).To(MatchError(ContainSubstring("config:1:33:")))
	})

	DescribeTable("answers in time whatever it is given", func(text string) {
		start := time.Now()
		_, err := schema.Decoder{}.Decode(source, []byte(text))
		Expect(err).To(HaveOccurred())
		Expect(len(err.Error())).To(BeNumerically("<", 100_000))
		Expect(time.Since(start)).To(BeNumerically("<", time.Minute))
	},
		Entry("open lists", strings.Repeat("[", 1<<18)),
		Entry("open objects", strings.Repeat(`{"a":`, 1<<17)),
		Entry("missing commas", `{"loadAffinity": [`+strings.Repeat("{} ", 1<<18)+"]}"),
		Entry("missing commas without a space", `{"loadAffinity": [`+strings.Repeat("{}", 1<<18)+"]}"),
		Entry("unknown keys", `{"a":1`+strings.Repeat(`,"b":1`, 50_000)+"}"),
		Entry("one long key", `{"`+strings.Repeat("k", 1_000_000)+`":1}`),
		Entry("one long value", `{"priorityClassName":"`+strings.Repeat("V", 1_000_000)+`"}`),
		Entry("one long number", `{"loadConcurrency":{"globalConfig":`+strings.Repeat("9", 1_000_000)+`}}`),
		Entry("a number with a large exponent", `{"loadConcurrency":{"globalConfig":1e999999999}}`),
		Entry("a quantity with a large exponent", `{"podResources":{"memoryLimit":"1e999999999","memoryRequest":"1e-999999999"}}`),
		Entry("YAML lists in lists", strings.Repeat("- ", 1<<17)),
		Entry("YAML keys", strings.Repeat("a:\n", 1<<16)),
		Entry("YAML flow objects", strings.Repeat("a: {", 1<<16)),
		Entry("YAML anchors", strings.Repeat("a: &a x\n", 1<<15)),
		Entry("YAML quotes", strings.Repeat(`"`, 1<<18)),
		Entry("YAML documents", strings.Repeat("---\n", 1<<16)),
	)
})
