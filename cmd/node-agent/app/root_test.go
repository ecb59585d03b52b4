package app

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/spf13/cobra"
)

// run returns the exit code and what was written.
func run(args ...string) (int, string, string) {
	var stdout, stderr bytes.Buffer
	code := Main(context.Background(), args, &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

// backupArgs are the arguments of a backup pod, followed by more.
func backupArgs(more ...string) []string {
	return append([]string{
		"data-mover", "backup", "--volume-path=/uid", "--volume-mode=Filesystem", "--data-upload=du", "--resource-timeout=10m0s",
	}, more...)
}

// restoreArgs are the arguments of a restore pod, followed by more.
func restoreArgs(more ...string) []string {
	return append([]string{
		"data-mover", "restore", "--volume-path=/uid", "--volume-mode=Filesystem", "--data-download=dd", "--resource-timeout=10m0s",
	}, more...)
}

var _ = Describe("The command line", func() {
	BeforeEach(func() {
		GinkgoT().Setenv("VELERO_NAMESPACE", "")
		GinkgoT().Setenv("HOME", GinkgoT().TempDir())
		// No command may reach an API server.
		GinkgoT().Setenv("KUBECONFIG", filepath.Join(GinkgoT().TempDir(), "none"))
	})

	DescribeTable("prints",
		func(want string, args []string) {
			code, stdout, stderr := run(args...)
			Expect(stderr).To(BeEmpty())
			Expect(stdout).To(MatchRegexp(want))
			Expect(code).To(BeZero())
		},
		Entry("the version", `^node-agent \S+ \(commit \S+, go1\.\S+, \w+/\w+\)\n$`, []string{"version"}),
		Entry("the version on --version", `^node-agent \S+ \(commit \S+, go1\.\S+, \w+/\w+\)\n$`, []string{"--version"}),
		Entry("the version in spite of all global flags", `^node-agent `, []string{
			"version", "--features=", "--features=EnableCSI",
			"--colorized=false", "--kubeconfig=x", "--kubecontext=y", "-n", "z", "-v", "0", "--vmodule=", "--logtostderr=true",
			"--log-level=debug", "--log-format=json",
		}),
		Entry("help without a command", `data-mover`, nil),
		Entry("help for data-mover", `backup`, []string{"data-mover"}),
		Entry("help for data-mover", `restore`, []string{"data-mover"}),
		Entry("the flags of data-mover restore", `--verify`, []string{"data-mover", "restore", "--help"}),
		Entry("the flags of data-mover backup", `--termination-message-path`, []string{"data-mover", "backup", "--help"}),
	)

	DescribeTable("refuses, in one line,",
		func(want string, args []string) {
			code, stdout, stderr := run(args...)
			Expect(code).To(Equal(1))
			Expect(stdout).To(BeEmpty())
			Expect(stderr).To(HavePrefix("node-agent: " + want))
			Expect(strings.Count(stderr, "\n")).To(Equal(1))
			Expect(stderr).To(HaveSuffix("\n"))
		},
		Entry("an unknown command", `unknown command "serve" for "node-agent"`, []string{"serve"}),
		Entry("an unknown command of data-mover", `unknown command "x" for "node-agent data-mover"`, []string{"data-mover", "x"}),
		Entry("an argument", `unknown command "x" for "node-agent version"`, []string{"version", "x"}),
		Entry("an unknown flag", `unknown flag: --nope, see 'node-agent data-mover backup --help'`, backupArgs("--nope")),
		Entry("an unknown log level", `log level "loud" is unknown`, []string{"version", "--log-level=loud"}),
		Entry("an unknown log format", `log format "xml" is unknown`, []string{"version", "--log-format=xml"}),
		Entry("missing flags",
			`required flag(s) "data-upload", "resource-timeout", "volume-mode", "volume-path" not set`,
			[]string{"data-mover", "backup"}),
		Entry("one missing flag", `required flag(s) "data-upload" not set`,
			[]string{"data-mover", "backup", "--volume-path=/uid", "--volume-mode=Block", "--resource-timeout=1m"}),
		Entry("a bad volume mode", `--volume-mode is "Tape", it must be Filesystem or Block`, backupArgs("--volume-mode=Tape")),
		Entry("an empty volume path", `--volume-path is empty`, backupArgs("--volume-path=")),
		Entry("an empty DataUpload", `--data-upload is empty`, backupArgs("--data-upload=")),
		Entry("an empty DataDownload", `--data-download is empty`, restoreArgs("--data-download=")),
		Entry("a restore without a DataDownload", `required flag(s) "data-download" not set`,
			[]string{"data-mover", "restore", "--volume-path=/uid", "--volume-mode=Block", "--resource-timeout=1m"}),
		Entry("no API server, with the flags of Velero's restore pods", `find out how to reach the API server: `,
			restoreArgs("--kubeconfig=/nonexistent", "--cache-volume-path=", "--log-format=text", "--log-level=info")),
		Entry("an attempt of zero", `--attempt is 0, it must be 1 or more`, backupArgs("--attempt=0")),
		Entry("a negative cache", `--cache-limit-mb is -1, it must be from 0 to 4398046511104`, backupArgs("--cache-limit-mb=-1")),
		Entry("a timeout of zero", `--resource-timeout is 0s, it must be more than 0`, backupArgs("--resource-timeout=0")),
		Entry("a timeout without a unit", `invalid argument "10" for "--resource-timeout" flag`, backupArgs("--resource-timeout=10")),
		Entry("no API server", `find out how to reach the API server: `, backupArgs("--kubeconfig=/nonexistent")),
		Entry("no API server, with the flags of a newer Velero", `find out how to reach the API server: `,
			backupArgs("--kubeconfig=/nonexistent", "--change-id=", "--volume-id=a", "--snapshot-id=b",
				"--csi-snapshot-metadata-service-sa=c", "--cbt-sa-name=d")),
		Entry("no API server for the server", `find out how to reach the API server: `,
			[]string{"server", "--kubeconfig=/nonexistent", "--node-agent-configmap=x"}),
		Entry("no API server for the server of `velero install`", `find out how to reach the API server: `,
			[]string{"--kubeconfig=/nonexistent", "node-agent", "server", "--features=", "--node-agent-configmap=x"}),
		Entry("no API server to sweep", `find out how to reach the API server: `, []string{"sweep", "--kubeconfig=/nonexistent", "--dry-run"}),
		Entry("a sweep with a negative grace time", `--grace is -1s, it must not be negative`, []string{"sweep", "--grace=-1s"}),
		Entry("a sweep without time", `--timeout is 0s, it must be more than zero`, []string{"sweep", "--timeout=0s"}),
		Entry("an unknown flag of the server", `unknown flag: --nope, see 'node-agent node-agent server --help'`,
			[]string{"node-agent", "server", "--nope"}),
		Entry("an unknown command of node-agent", `unknown command "client" for "node-agent node-agent"`,
			[]string{"node-agent", "client"}),
	)

	It("says which flags have no effect", func() {
		_, stdout, _ := run(backupArgs("--kubeconfig=/nonexistent", "--log-level=debug", "--change-id=", "--cbt-sa-name=d")...)
		Expect(stdout).To(ContainSubstring("Flag --change-id has no effect"))
		Expect(stdout).To(ContainSubstring("Flag --cbt-sa-name has no effect"))
		Expect(stdout).NotTo(ContainSubstring("--volume-id"))
	})

	DescribeTable("finds the namespace of Velero",
		func(want, variable, file string, args ...string) {
			GinkgoT().Setenv("VELERO_NAMESPACE", variable)
			if file != "" {
				writeConfig(file)
			}
			g := &globalOptions{}
			cmd := &cobra.Command{PersistentPreRunE: g.complete, RunE: func(*cobra.Command, []string) error { return nil }}
			g.bindFlags(cmd.PersistentFlags())
			cmd.SetArgs(args)
			Expect(cmd.Execute()).To(Succeed())
			Expect(g.namespace).To(Equal(want))
			Expect(g.log).NotTo(BeNil())
		},
		Entry("by default", "velero", "", ""),
		Entry("in the flag", "flag", "variable", `{"namespace":"file"}`, "--namespace=flag"),
		Entry("in the short flag", "flag", "variable", "", "-n", "flag"),
		Entry("in the environment", "variable", "variable", `{"namespace":"file"}`),
		Entry("in the file", "file", "", `{"namespace":"file","features":"EnableCSI","colorized":true}`),
		Entry("not in the file", "velero", "", `{"features":"EnableCSI"}`),
	)

	It("does without a home", func() {
		GinkgoT().Setenv("HOME", "")
		GinkgoT().Chdir(GinkgoT().TempDir())
		writeConfig(`{"namespace":"file"}`)
		Expect(namespaceFromEnvironment()).To(Equal("velero"))
	})

	It("says that the file is broken", func() {
		writeConfig("{")
		code, _, stderr := run("version")
		Expect(code).To(Equal(1))
		Expect(stderr).To(HavePrefix("node-agent: read the namespace in "))
		Expect(stderr).To(ContainSubstring("config.json"))
	})
})

func writeConfig(content string) {
	GinkgoHelper()
	dir := filepath.Join(os.Getenv("HOME"), ".config", "velero")
	Expect(os.MkdirAll(dir, 0o700)).To(Succeed())
	Expect(os.WriteFile(filepath.Join(dir, "config.json"), []byte(content), 0o600)).To(Succeed())
}
