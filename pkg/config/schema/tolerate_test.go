package schema_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/node-agent/node-agent/pkg/config/problem"
	"github.com/node-agent/node-agent/pkg/config/schema"
)

var _ = Describe("a tolerant Decoder", func() {
	tolerant := schema.Decoder{UnknownKeys: schema.WarnOfUnknownKeys}

	DescribeTable("ignores keys that do not exist, and says so", func(text string, want ...string) {
		checked := tolerant.Check(source, []byte(text))
		Expect(checked.Err()).NotTo(HaveOccurred())
		Expect(problem.Lines(source, checked.UnknownKeys)).To(Equal(want))
		Expect(checked.Warnings).To(ContainElements(checked.UnknownKeys))
	},
		Entry("misplaced", `{"prepareQueueLength": 3}`,
			"config:1:2: prepareQueueLength: misplaced key, ignored; move it to loadConcurrency.prepareQueueLength"),
		Entry("misspelled", `{"backupPVC": {"gold": {"redOnly": true}}}`,
			"config:1:25: backupPVC.gold.redOnly: unknown key, ignored: expected storageClass, readOnly, spcNoRelabeling, readWriteOncePod, annotations, secretNames "+
				`or configMapNames; did you mean "readOnly"?`),
		Entry("in other capitals, which count as in Velero", `{"backuppvc": {}}`, `config:1:2: backuppvc: taken for backupPVC; write it so`),
		Entry("with values that would be wrong", `{"comment": [1, {"x": null}]}`,
			"config:1:2: comment: unknown key, ignored: expected loadConcurrency, loadAffinity, podResources, backupPVC, restorePVC, cachePVC, "+
				"priorityClassName, podLabels, podAnnotations, tolerations, privilegedFsBackup or csiSnapshotMetadataServiceConfigs"),
	)

	It("is needed for what may be misspelled or misplaced", func() {
		for _, text := range []string{
			`{"prepareQueueLength": 3}`, `{"backupPVC": {"gold": {"redOnly": true}}}`, `{"backupPVC": {"gold": {"unheardOf": true}}}`,
			`{"backuppvc": {}}`, `{"restorePVCs": {}}`, `{"backup-pvcs": {}}`, `{"": {}}`, `{"no name": {}}`,
		} {
			_, err := schema.Decoder{}.Decode(source, []byte(text))
			Expect(err).To(HaveOccurred(), text)
		}
	})

	It("is not needed for a whole section that no version of Velero had when this was written", func() {
		const text = "backupPVC: {gold: {readOnly: true}}\ndataMoverVolumes: [{a: 1}]\n"
		checked := schema.Decoder{}.Check(source, []byte(text))
		Expect(checked.Err()).NotTo(HaveOccurred())
		Expect(checked.Config.BackupPVC["gold"].ReadOnly).To(BeTrue())
		Expect(checked.Warnings).To(Equal(checked.UnknownKeys))
		Expect(problem.Lines(source, checked.UnknownKeys)).To(ConsistOf(
			HavePrefix("config:2:1: dataMoverVolumes: unknown key, ignored: expected loadConcurrency, ")))
	})

	It("gives a key in other capitals its effect", func() {
		checked := tolerant.Check(source, []byte(`{"BackupPVC": {"gold": {"READONLY": true}}}`))
		Expect(checked.Err()).NotTo(HaveOccurred())
		Expect(checked.Config.BackupPVC["gold"].ReadOnly).To(BeTrue())
		Expect(checked.UnknownKeys).To(HaveLen(2))
	})

	DescribeTable("still refuses", func(text, want string) {
		_, err := tolerant.Decode(source, []byte(text))
		Expect(err).To(MatchError(want))
	},
		Entry("a key twice, once in other capitals", `{"backupPVC": {}, "backuppvc": {}}`,
			"config:1:19: backuppvc: the same key in other capitals is at 1:2; remove one of them"),
		Entry("a required key that is misspelled", "loadAffinity:\n- nodeSelectr: {}\n",
			`config:2:3: loadAffinity[0]: key "nodeSelector" is missing: expected a label selector, {} for every node`),
		Entry("a wrong value of a key in other capitals", `{"podresources": {"cpuLimit": 1}}`,
			`config:1:31: podresources.cpuLimit: found number 1, expected a number of CPUs in quotes, as in "500m" or "2"; did you mean "1"?`),
	)

	It("takes the flag's values and no other", func() {
		mode := schema.RefuseUnknownKeys
		Expect(mode.Set("warn")).To(Succeed())
		Expect(mode).To(Equal(schema.WarnOfUnknownKeys))
		Expect(mode.Set("ignore")).To(MatchError("it must be error or warn"))
		Expect(mode.String()).To(Equal("warn"))
	})
})
