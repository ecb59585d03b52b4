package repository_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/node-agent/node-agent/pkg/repository"
	"github.com/node-agent/node-agent/pkg/repository/failure"
	"github.com/node-agent/node-agent/pkg/repository/store"
	"github.com/node-agent/node-agent/pkg/repository/upload"
)

// The environment of a process that uploads a volume as a user without rights: root can read everything.
const (
	unprivilegedVolume = "NODE_AGENT_TEST_VOLUME"
	unprivilegedStore  = "NODE_AGENT_TEST_STORE"
	unprivilegedState  = "NODE_AGENT_TEST_STATE"

	unprivilegedID = 65534
)

// programDir is where programs may run from. Memory, to which other files are moved, is often mounted without that.
var programDir = os.TempDir()

// unprivilegedOutcome is what that process prints.
type unprivilegedOutcome struct {
	Error     string
	Failures  []failure.Entry
	Total     int
	Snapshots int
}

// uploadUnprivileged is that process.
func uploadUnprivileged() int {
	ctx := context.Background()
	access := repository.Access{
		Access: store.Access{
			Location:        newLocation("velero.io/fs", map[string]string{"fspath": os.Getenv(unprivilegedStore)}),
			VolumeNamespace: namespace,
		},
		Password: password,
		StateDir: os.Getenv(unprivilegedState),
	}
	outcome, err := func() (outcome unprivilegedOutcome, err error) {
		if err := repository.Initialize(ctx, access); err != nil {
			return outcome, err
		}
		repo, err := repository.Open(ctx, access)
		if err != nil {
			return outcome, err
		}
		_, err = upload.Run(ctx, repo, request(os.Getenv(unprivilegedVolume)))
		if err == nil {
			return outcome, errors.New("the upload succeeded")
		}
		outcome.Error = err.Error()
		if entries, ok := errors.AsType[*failure.EntryError](err); ok {
			outcome.Failures, outcome.Total = entries.Failures, entries.Total
		}
		snapshots, err := repo.Snapshots(ctx, namespace, pvc)
		outcome.Snapshots = len(snapshots)
		return outcome, err
	}()
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(outcome)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// runUnprivileged uploads a volume in such a process.
func runUnprivileged(ctx context.Context, prepare func(volume string)) unprivilegedOutcome {
	GinkgoHelper()
	// Not in a directory of the spec, which only root can enter.
	dir, err := os.MkdirTemp(programDir, "unprivileged-")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(os.RemoveAll, dir)
	program := filepath.Join(dir, "program")
	copyProgram(program)
	store := filepath.Join(dir, "store")
	volume := filepath.Join(dir, "volume")
	Expect(os.Mkdir(store, 0o700)).To(Succeed())
	Expect(os.Mkdir(volume, 0o755)).To(Succeed())
	prepare(volume)
	DeferCleanup(os.Chmod, volume, os.FileMode(0o755)) // else an ordinary user cannot remove what is in it

	command := exec.CommandContext(ctx, program)
	command.Env = append(os.Environ(), unprivilegedVolume+"="+volume,
		unprivilegedStore+"="+store, unprivilegedState+"="+filepath.Join(dir, "state"), "HOME="+dir)
	if os.Geteuid() == 0 {
		for _, path := range []string{dir, store} {
			Expect(os.Chown(path, unprivilegedID, unprivilegedID)).To(Succeed())
		}
		command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: unprivilegedID, Gid: unprivilegedID}}
	}
	var stderr strings.Builder
	command.Stderr = &stderr
	output, err := command.Output()
	Expect(err).NotTo(HaveOccurred(), "%s", &stderr)
	var outcome unprivilegedOutcome
	Expect(json.Unmarshal(output, &outcome)).To(Succeed())
	return outcome
}

// copyProgram copies this test to where everybody can run it.
func copyProgram(path string) {
	GinkgoHelper()
	source, err := os.Open(os.Args[0])
	Expect(err).NotTo(HaveOccurred())
	defer source.Close()
	target, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o755)
	Expect(err).NotTo(HaveOccurred())
	_, err = io.Copy(target, source)
	Expect(err).NotTo(HaveOccurred())
	Expect(target.Close()).To(Succeed())
}

var _ = Describe("Upload of a volume with entries that cannot be read", func() {
	DescribeTable("names them and keeps no snapshot", func(ctx context.Context, prepare func(dir string), path string) {
		outcome := runUnprivileged(ctx, func(volume string) {
			put(volume, "readable", []byte("x"), 0o644)
			prepare(volume)
		})
		Expect(outcome.Failures).To(ConsistOf(failure.Entry{Path: path, Reason: "permission denied"}))
		Expect(outcome.Total).To(Equal(1))
		Expect(outcome.Error).To(Equal(
			"upload volume shop/data: 1 entry of the volume could not be read: " + path + ": permission denied"))
		Expect(outcome.Snapshots).To(BeZero())
	},
		Entry("a file", func(dir string) { put(dir, "sub/secret", []byte("x"), 0) }, "sub/secret"),
		Entry("a directory", func(dir string) {
			Expect(os.MkdirAll(filepath.Join(dir, "sub/closed"), 0o755)).To(Succeed())
			Expect(os.Chmod(filepath.Join(dir, "sub/closed"), 0)).To(Succeed())
		}, "sub/closed"),
		Entry("a name that is no text", func(dir string) { put(dir, "caf\xe9", []byte("x"), 0) }, `"caf\xe9"`),
		Entry("the root", func(dir string) { Expect(os.Chmod(dir, 0)).To(Succeed()) }, "."),
	)

	It("names more than the first", func(ctx context.Context) {
		outcome := runUnprivileged(ctx, func(volume string) {
			put(volume, "readable", []byte("x"), 0o644)
			for i := range failure.MaxNamed + 2 {
				put(volume, fmt.Sprintf("sub/%d/secret.kopia-entry", i), []byte("x"), 0)
			}
		})
		Expect(outcome.Total).To(Equal(failure.MaxNamed + 2))
		Expect(outcome.Failures).To(HaveLen(failure.MaxNamed))
		Expect(outcome.Failures).To(HaveEach(And(
			HaveField("Path", MatchRegexp(`^sub/\d+/secret\.kopia-entry$`)), HaveField("Reason", "permission denied"))))
		Expect(outcome.Error).To(And(
			HavePrefix("upload volume shop/data: 12 entries of the volume could not be read: "), HaveSuffix("; and 2 more")))
	})
})
