package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/node-agent/node-agent/test/localnode/identity"
)

const (
	agentReadyTimeout = 20 * time.Second
	agentStopTimeout  = 10 * time.Second
	tailLines         = 30
)

// agent is a running `node-agent server`.
type agent struct {
	log   string
	cmd   *exec.Cmd
	ended chan struct{}
}

// startAgent runs the server as the DaemonSet would: same command line, same environment, same service account. name
// tells its log from others.
func (d *demo) startAgent(ctx context.Context, name string, flags ...string) error {
	if d.agent != nil {
		if err := d.agent.stop(); err != nil {
			return err
		}
	}
	kubeconfig := filepath.Join(d.scratchDir(), name+".kubeconfig")
	account := types.NamespacedName{
		Namespace: veleroNamespace, Name: d.manifests.daemonSet.Spec.Template.Spec.ServiceAccountName,
	}
	if err := identity.Write(ctx, d.client, d.plane.Config, account, kubeconfig); err != nil {
		return err
	}
	health, err := freeAddress(ctx)
	if err != nil {
		return err
	}
	flags = append(flags, "--manage-repositories", "--metrics-address=127.0.0.1:0", "--health-address="+health)
	d.agent = &agent{log: filepath.Join(d.logsDir(), name+".log"), ended: make(chan struct{})}
	log, err := os.Create(d.agent.log)
	if err != nil {
		return fmt.Errorf("make log of node-agent: %w", err)
	}
	defer func() { _ = log.Close() }()
	args := append(append([]string{}, d.manifests.container.Args...), flags...)
	cmd := exec.Command(d.program, args...) //nolint:noctx // it is stopped by a signal, not killed
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + d.scratchDir(), "TMPDIR=" + d.scratchDir(), "VELERO_SCRATCH_DIR=" + d.scratchDir(),
		"KUBECONFIG=" + kubeconfig, "NODE_NAME=" + nodeName, "VELERO_NAMESPACE=" + veleroNamespace,
	}
	// Ctrl-C in a terminal reaches the whole process group; the agent is stopped in its turn.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start node-agent: %w", err)
	}
	d.agent.cmd = cmd
	go func() {
		_ = cmd.Wait() // Its exit code is in ProcessState.
		close(d.agent.ended)
	}()
	return d.agent.waitReady(ctx, "http://"+health+"/readyz")
}

// waitReady waits until the agent answers, or has ended.
func (a *agent) waitReady(ctx context.Context, url string) error {
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
			if answers(ctx, url) {
				return nil
			}
		}
	}
}

func answers(ctx context.Context, url string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	return response.Body.Close() == nil && response.StatusCode == http.StatusOK
}

// stop asks the agent to end, and kills it if it does not.
func (a *agent) stop() error {
	if a.cmd == nil {
		return nil
	}
	_ = a.cmd.Process.Signal(syscall.SIGTERM) // It may have ended.
	select {
	case <-a.ended:
		return nil
	case <-time.After(agentStopTimeout):
		_ = a.cmd.Process.Kill()
		<-a.ended
		return errors.New("node-agent did not stop when asked to and was killed")
	}
}

// freeAddress is a port on loopback that nobody listens on.
func freeAddress(ctx context.Context) (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return listener.Addr().String(), listener.Close()
}

// tail is the end of a log.
func tail(path string) []string {
	content, err := os.ReadFile(path)
	if err != nil {
		return []string{err.Error()}
	}
	lines := strings.Split(strings.TrimRight(string(content), "\n"), "\n")
	return lines[max(0, len(lines)-tailLines):]
}
