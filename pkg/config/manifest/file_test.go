package manifest_test

import (
	"encoding/json"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/node-agent/node-agent/pkg/config/manifest"
	"github.com/node-agent/node-agent/pkg/config/schema"
)

const configMapManifest = `# Made by hand.
apiVersion: v1
kind: ConfigMap
metadata:
  name: agent-config
  namespace: velero
data:
  config.json: |
    {
      "backupPVC": {

        "gold": {"redOnly": true}
      }
    }
`

// problems returns what CheckFile says, one line for each problem.
func problems(text string) string {
	err := manifest.CheckFile(schema.Decoder{}, "f", []byte(text)).Err()
	if err == nil {
		return ""
	}
	return err.Error()
}

func asJSON(text string) string {
	GinkgoHelper()
	object := map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "data": map[string]string{"config.json": text}}
	encoded, err := json.Marshal(object)
	Expect(err).NotTo(HaveOccurred())
	return string(encoded)
}

var _ = Describe("CheckFile", func() {
	const unknown = `backupPVC.gold.redOnly: unknown key: expected storageClass, readOnly, spcNoRelabeling, readWriteOncePod, annotations, ` +
		`secretNames or configMapNames; did you mean "readOnly"?`

	DescribeTable("finds the configuration in a file, and problems at their place in the file", func(text, key, want string) {
		Expect(manifest.CheckFile(schema.Decoder{}, "f", []byte(text)).Key).To(Equal(key))
		Expect(problems(text)).To(Equal(want))
	},
		Entry("alone, JSON", `{"backupPVC": {"gold": {"redOnly": true}}}`, "", "f:1:25: "+unknown),
		Entry("alone, YAML", "backupPVC:\n  gold:\n    redOnly: true\n", "", "f:3:5: "+unknown),
		Entry("alone, after a marker", "---\nbackupPVC:\n  gold:\n    redOnly: true\n", "", "f:4:5: "+unknown),
		Entry("in a block", configMapManifest, "config.json", "f:12:18: "+unknown),
		Entry("in a block of Windows lines", strings.ReplaceAll(configMapManifest, "\n", "\r\n"), "config.json", "f:12:18: "+unknown),
		Entry("in a block, stripped", strings.TrimSpace(strings.Replace(configMapManifest, "json: |", "json: |-", 1)), "config.json", "f:12:18: "+unknown),
		Entry("in the second document", "apiVersion: v1\nkind: Namespace\n---\n"+configMapManifest, "config.json", "f:15:18: "+unknown),
		Entry("in quotes on one line", "apiVersion: v1\nkind: ConfigMap\ndata:\n  c: '{\"backupPVC\": {\"gold\": {\"redOnly\": true}}}'\n",
			"c", "f:4:31: "+unknown),
		Entry("in JSON, where positions are those in the value", asJSON("{\"backupPVC\": {\n\"gold\": {\"redOnly\": true}}}"), "config.json",
			"f, key config.json:2:10: "+unknown),
		Entry("in JSON without escapes", asJSON("backupPVC: {gold: {redOnly: true}}"), "config.json", "f:1:62: "+unknown),
		Entry("folded, where positions are those in the value", "apiVersion: v1\nkind: ConfigMap\ndata:\n  c: >\n    {\"backupPVC\":\n    1}\n",
			"c", "f, key c:1:15: backupPVC: found number 1, expected an object"),
		Entry("in a list of objects", "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: ConfigMap\n  data:\n    c: |\n      loadAffinity: 1\n",
			"c", "f:8:21: loadAffinity: found number 1, expected a list"),
		Entry("an empty value", "apiVersion: v1\nkind: ConfigMap\ndata:\n  c: \"\"\n", "c",
			"f:4:6: found nothing, expected an object; write {} for a configuration without settings"),
		Entry("an empty file", " \n", "", "f:1:1: found nothing, expected an object; write {} for a configuration without settings"),
		Entry("another manifest", "apiVersion: v1\nkind: Secret\n", "", "f:1:1: found a Kubernetes manifest of kind Secret, expected a ConfigMap, or the configuration alone"),
		Entry("two ConfigMaps", configMapManifest+"---\n"+strings.Replace(configMapManifest, "agent-config", "other", 1), "",
			`f:17:1: found 2 ConfigMaps ("agent-config", "other"), expected exactly one`),
		Entry("no data", "apiVersion: v1\nkind: ConfigMap\n", "", "f:1:1: found no key in data, expected exactly one with the configuration"),
		Entry("two keys", "apiVersion: v1\nkind: ConfigMap\ndata:\n  a: x\n  b: x\n", "",
			`f:4:3: found 2 keys in data ("a", "b"), expected exactly one; merge them into one, or remove the others`),
		Entry("binary data", "apiVersion: v1\nkind: ConfigMap\nbinaryData:\n  a: eA==\n", "",
			`f:1:1: found binaryData with "a", expected text in data; save the file as UTF-8 before the ConfigMap is made from it`),
		Entry("a forgotten bar", "apiVersion: v1\nkind: ConfigMap\ndata:\n  c:\n    backupPVC: {}\n", "",
			`f:5:5: data.c: found an object, expected the configuration as text; write c: | and indent the configuration below it`),
		Entry("a broken document beside the ConfigMap", configMapManifest+"---\na: [\n", "",
			"f:17:1: a value is missing or cannot begin with this character"),
	)

	It("knows the place of each setting in the file, or what is nearest", func() {
		checked := manifest.CheckFile(schema.Decoder{}, "f", []byte(strings.Replace(configMapManifest, "redOnly", "readOnly", 1)))
		Expect(checked.Err()).NotTo(HaveOccurred())
		Expect(checked.Config.BackupPVC["gold"].ReadOnly).To(BeTrue())
		for path, want := range map[string][]int{
			"backupPVC.gold.readOnly":     {12, 18},
			"backupPVC.gold.storageClass": {12, 9},
			"backupPVC.golden":            {10, 7},
			"podResources":                {9, 5},
		} {
			line, column := checked.Place(path)
			Expect([]int{line, column}).To(Equal(want), path)
		}
	})
})
