package repository_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/node-agent/node-agent/pkg/repository"
	"github.com/node-agent/node-agent/pkg/repository/store"
)

// doomed is what a process does that is killed meanwhile.
type doomed interface {
	run(ctx context.Context) error
}

// doomedStore says how that process opens the repository.
type doomedStore struct {
	URL, CredentialsFile, StateDir string
}

func doomedBy(store *s3Store) doomedStore {
	access := store.access(namespace)
	return doomedStore{URL: store.server.URL, CredentialsFile: access.CredentialsFile, StateDir: access.StateDir}
}

func (d doomedStore) access() repository.Access {
	return repository.Access{
		Access: store.Access{
			Location: newS3Location(d.URL), VolumeNamespace: namespace, CredentialsFile: d.CredentialsFile,
		},
		Password: password, StateDir: d.StateDir,
	}
}

// runUntilKilled is that process. What it does is in an environment variable.
func runUntilKilled(variable string, what doomed) int {
	err := json.Unmarshal([]byte(os.Getenv(variable)), what)
	if err == nil {
		err = what.run(context.Background())
	}
	fmt.Fprintln(os.Stderr, "it ended:", err)
	return 1
}

// killOnce starts that process, and kills it once it stalls and what is waited for has happened.
func killOnce(ctx context.Context, variable string, what doomed, stalled <-chan struct{}, wait ...func()) {
	GinkgoHelper()
	task, err := json.Marshal(what)
	Expect(err).NotTo(HaveOccurred())
	command := exec.CommandContext(ctx, os.Args[0])
	command.Env = append(os.Environ(), variable+"="+string(task))
	command.Stderr = GinkgoWriter
	Expect(command.Start()).To(Succeed())
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	select {
	case <-stalled:
	case err := <-ended:
		Fail(fmt.Sprint("it ended before it was killed: ", err))
	}
	for _, happens := range wait {
		happens()
	}
	Expect(command.Process.Kill()).To(Succeed())
	Expect(<-ended).To(MatchError("signal: killed"))
}
