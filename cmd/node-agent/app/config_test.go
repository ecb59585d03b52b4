package app

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/node-agent/node-agent/pkg/config/check"
)

const brokenManifest = `apiVersion: v1
kind: ConfigMap
metadata:
  name: node-agent-config
data:
  config.yaml: |
    backupPVC:
      gold:
        redOnly: true
        spcNoRelabeling: true
    prepareQueueLength: 3
`

// runWith is run with a standard input.
func runWith(stdin string, args ...string) (int, string, string) {
	var stdout, stderr bytes.Buffer
	root := newRootCommand()
	root.SetArgs(args)
	root.SetIn(strings.NewReader(stdin))
	root.SetOut(&stdout)
	root.SetErr(&stderr)
	if err := root.ExecuteContext(context.Background()); err != nil {
		return 1, stdout.String(), err.Error()
	}
	return 0, stdout.String(), stderr.String()
}

var _ = Describe("config check", func() {
	BeforeEach(func() {
		GinkgoT().Setenv("HOME", GinkgoT().TempDir())
		GinkgoT().Setenv("KUBECONFIG", filepath.Join(GinkgoT().TempDir(), "none"))
	})

	It("lists all problems in a table, and fails", func() {
		code, stdout, stderr := runWith(brokenManifest, "config", "check", "-")
		Expect(code).To(Equal(1))
		Expect(stdout).To(Equal(`LEVEL    LINE  COLUMN  PATH                            PROBLEM
error    9     9       backupPVC.gold.redOnly          unknown key: expected storageClass, readOnly, spcNoRelabeling, readWriteOncePod, annotations, secretNames or configMapNames; did you mean "readOnly"?
warning  10    9       backupPVC.gold.spcNoRelabeling  ignored, because readOnly is not true
error    11    5       prepareQueueLength              misplaced key; move it to loadConcurrency.prepareQueueLength
standard input, key config.yaml: not valid, 2 errors, 1 warning
`))
		Expect(stderr).To(Equal("standard input is not valid"))
	})

	It("does not fail for warnings", func() {
		code, stdout, stderr := runWith(brokenManifest, "config", "check", "-", "--config-unknown-keys=warn")
		Expect(stderr).To(BeEmpty())
		Expect(code).To(BeZero())
		Expect(stdout).To(ContainSubstring("warning  9     9       backupPVC.gold.redOnly          unknown key, ignored: expected"))
		Expect(stdout).To(HaveSuffix("standard input, key config.yaml: valid, 3 warnings, 1 note\n"))
	})

	It("does not fail for a section that a newer Velero may have", func() {
		code, stdout, stderr := runWith("dataMoverVolumes: {a: 1}\n", "config", "check", "-")
		Expect(stderr).To(BeEmpty())
		Expect(code).To(BeZero())
		Expect(stdout).To(ContainSubstring("warning  1     1       dataMoverVolumes  unknown key, ignored: expected"))
		Expect(stdout).To(HaveSuffix("standard input: valid, 1 warning, 1 note\n"))
	})

	It("writes JSON for programs", func() {
		file := filepath.Join(GinkgoT().TempDir(), "c.json")
		Expect(os.WriteFile(file, []byte(`{"loadConcurrency": {"globalConfig": 0}}`), 0o600)).To(Succeed())
		code, stdout, _ := runWith("", "config", "check", file, "-o", "json")
		Expect(code).To(Equal(1))
		var report check.Report
		Expect(json.Unmarshal([]byte(stdout), &report)).To(Succeed())
		Expect(report.Source).To(Equal(file))
		Expect(report.Valid).To(BeFalse())
		Expect(report.Findings).To(ContainElement(And(
			HaveField("Level", check.Error), HaveField("Line", 1), HaveField("Column", 38), HaveField("Path", "loadConcurrency.globalConfig"),
			HaveField("Found", "0"), HaveField("Expected", "a whole number of at least 1"))))
	})

	It("says that nothing is wrong", func() {
		code, stdout, stderr := runWith("{}", "config", "check", "-")
		Expect(code).To(BeZero())
		Expect(stdout).To(Equal("standard input: valid\n"))
		Expect(stderr).To(BeEmpty())
		_, stdout, _ = runWith("{}", "config", "check", "-", "-o", "json")
		Expect(stdout).To(MatchJSON(`{"source": "standard input", "valid": true, "findings": []}`))
	})

	DescribeTable("refuses", func(want string, args ...string) {
		code, stdout, stderr := runWith("{}", append([]string{"config", "check"}, args...)...)
		Expect(code).To(Equal(1))
		Expect(stdout).To(BeEmpty())
		Expect(stderr).To(HavePrefix(want))
	},
		Entry("nothing to check", "give either a FILE, - for the standard input, or --configmap NAME"),
		Entry("two things to check", "give either a FILE, - for the standard input, or --configmap NAME", "-", "--configmap=x"),
		Entry("a file that is not there", "open /none: no such file", "/none"),
		Entry("an unknown form", `--output is "yaml", it must be table or json`, "-", "-o", "yaml"),
		Entry("an unknown mode", `invalid argument "no" for "--config-unknown-keys" flag: it must be error or warn`, "-", "--config-unknown-keys=no"),
		Entry("a cluster that is not there", "find out how to reach the API server: ", "-", "--cluster"),
		Entry("a ConfigMap of a cluster that is not there", "find out how to reach the API server: ", "--configmap=x"),
	)

	It("does not read without end", func() {
		code, _, stderr := runWith(strings.Repeat(" ", maxInput+1), "config", "check", "-")
		Expect(code).To(Equal(1))
		Expect(stderr).To(Equal("read the standard input: there is more than 16777216 bytes"))
	})
})

var _ = Describe("config explain", func() {
	It("says what a configuration comes to", func() {
		code, stdout, stderr := runWith("backupPVC: {gold: {readOnly: true}}\n", "config", "explain", "-")
		Expect(stderr).To(BeEmpty())
		Expect(code).To(BeZero())
		Expect(stdout).To(HavePrefix("Configuration of standard input\n\nVolumes of storage class gold\n"))
	})

	It("says what is wrong instead", func() {
		code, stdout, stderr := runWith("backupPVC: 1\n", "config", "explain", "-")
		Expect(code).To(Equal(1))
		Expect(stdout).To(BeEmpty())
		Expect(stderr).To(Equal("standard input:1:12: backupPVC: found number 1, expected an object"))
	})
})

// documented is what docs/configuration.md shows as the output of a command.
func documented(command string) string {
	GinkgoHelper()
	text, err := os.ReadFile("../../../docs/configuration.md")
	Expect(err).NotTo(HaveOccurred())
	_, after, found := strings.Cut(string(text), "```text\n$ node-agent "+command+"\n")
	Expect(found).To(BeTrue(), "it is documented")
	output, _, found := strings.Cut(after, "```\n")
	Expect(found).To(BeTrue())
	return output
}

var _ = DescribeTable("the documented output is real", func(command, dir string) {
	want := documented(command)
	GinkgoT().Chdir(dir)
	_, stdout, _ := runWith("", strings.Fields(command)...)
	Expect(stdout).To(Equal(want))
},
	Entry("config check", "config check broken-configmap.yaml", "testdata"),
	Entry("config explain", "config explain config/samples/node-agent-configmap.yaml", "../../.."),
)
