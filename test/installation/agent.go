package installation

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/test/localnode/identity"
)

const (
	agentReadyTimeout = 20 * time.Second
	agentStopTimeout  = 10 * time.Second
	tailLines         = 30
)

// AgentOptions say how to run an agent.
type AgentOptions struct {
	// Program is the built node-agent.
	Program string
	// Name tells the agent's log from those of others.
	Name string
	// Node is the node that it is said to run on.
	Node string
	// Manifests are where its service account and command line come from, as the DaemonSet would run it.
	Manifests *Manifests
	// Flags come after those of the manifests.
	Flags []string
	// Client makes its credentials, and Config says where its API server is.
	Client client.Client
	Config *rest.Config
	// LogDir is the directory for its log, which is appended to, and ScratchDir for all else that it writes.
	LogDir, ScratchDir string
}

// Agent is a running `node-agent server`.
type Agent struct {
	// Log is the path of its log.
	Log string

	cmd             *exec.Cmd
	ended           chan struct{}
	health, metrics string
}

// StartAgent runs the server as the DaemonSet would: same command line, same environment, same service account. It does
// not wait until the agent is ready.
func StartAgent(ctx context.Context, o AgentOptions) (*Agent, error) {
	pod := o.Manifests.DaemonSet.Spec.Template.Spec
	kubeconfig := filepath.Join(o.ScratchDir, o.Name+".kubeconfig")
	account := types.NamespacedName{Namespace: o.Manifests.DaemonSet.Namespace, Name: pod.ServiceAccountName}
	if err := identity.Write(ctx, o.Client, o.Config, account, kubeconfig); err != nil {
		return nil, err
	}
	a := &Agent{Log: filepath.Join(o.LogDir, o.Name+".log"), ended: make(chan struct{})}
	var err error
	if a.health, err = freeAddress(ctx); err != nil {
		return nil, err
	}
	if a.metrics, err = freeAddress(ctx); err != nil {
		return nil, err
	}
	log, err := os.OpenFile(a.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make log of node-agent: %w", err)
	}
	defer func() { _ = log.Close() }()
	args := slices.Concat(o.Manifests.Container.Args, o.Flags, []string{
		"--manage-repositories", "--metrics-address=" + a.metrics, "--health-address=" + a.health,
	})
	a.cmd = exec.Command(o.Program, args...) //nolint:noctx // it is stopped by a signal, not killed
	a.cmd.Stdout, a.cmd.Stderr = log, log
	a.cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + o.ScratchDir, "TMPDIR=" + o.ScratchDir, "VELERO_SCRATCH_DIR=" + o.ScratchDir,
		"KUBECONFIG=" + kubeconfig, "NODE_NAME=" + o.Node, "VELERO_NAMESPACE=" + o.Manifests.DaemonSet.Namespace,
	}
	// Ctrl-C in a terminal reaches the whole process group; the agent is stopped in its turn.
	a.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := a.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start node-agent: %w", err)
	}
	go func() {
		_ = a.cmd.Wait() // Its exit code is in ProcessState.
		close(a.ended)
	}()
	return a, nil
}

// WaitReady waits until the agent answers, or has ended.
func (a *Agent) WaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, agentReadyTimeout)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for node-agent to be ready: %w", ctx.Err())
		case <-a.ended:
			return fmt.Errorf("node-agent has ended: %s", a.cmd.ProcessState)
		case <-ticker.C:
			if _, err := get(ctx, "http://"+a.health+"/readyz"); err == nil {
				return nil
			}
		}
	}
}

// Ended is closed when the agent has ended.
func (a *Agent) Ended() <-chan struct{} { return a.ended }

// Leads tells whether the agent says that it leads. One that does not answer does not.
func (a *Agent) Leads(ctx context.Context) bool {
	body, err := get(ctx, "http://"+a.metrics+"/metrics")
	return err == nil && strings.Contains(body, "\nnode_agent_leading 1\n")
}

// Signal sends the agent a signal.
func (a *Agent) Signal(signal os.Signal) error {
	if err := a.cmd.Process.Signal(signal); err != nil {
		return fmt.Errorf("signal node-agent: %w", err)
	}
	return nil
}

// Kill ends the agent as the end of its node would: nothing is said, and its lease is not given back.
func (a *Agent) Kill() {
	_ = a.cmd.Process.Kill() // It may have ended.
	<-a.ended
}

// Stop asks the agent to end, and kills it if it does not.
func (a *Agent) Stop() error {
	_ = a.cmd.Process.Signal(syscall.SIGTERM) // It may have ended.
	select {
	case <-a.ended:
		return nil
	case <-time.After(agentStopTimeout):
		a.Kill()
		return errors.New("node-agent did not stop when asked to and was killed")
	}
}

// Tail is the end of the agent's log.
func (a *Agent) Tail() []string {
	content, err := os.ReadFile(a.Log)
	if err != nil {
		return []string{err.Error()}
	}
	lines := strings.Split(strings.TrimRight(string(content), "\n"), "\n")
	return lines[max(0, len(lines)-tailLines):]
}

// get returns the body of an answer of status 200.
func get(ctx context.Context, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s", url, response.Status)
	}
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

// freeAddress is a port on loopback that nobody listens on.
func freeAddress(ctx context.Context) (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return listener.Addr().String(), listener.Close()
}
