package pods

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Limits of kubelet on what it takes from a container as its termination message.
const (
	maxMessageBytes = 4096
	maxLogBytes     = 2048
	maxLogLines     = 80
)

// command is what a container becomes: a program with its arguments, environment and files.
type command struct {
	args    []string
	env     []string
	dir     string
	log     string
	message string
	// messageFromLog takes the end of the log if a failed process left no message.
	messageFromLog bool
}

// process is a container that was started.
type process struct {
	command
	cmd     *exec.Cmd
	started time.Time

	mu         sync.Mutex
	terminated *corev1.ContainerStateTerminated
}

// startProcess starts a command in a process group of its own. ended is called when it is over.
func startProcess(c command, ended func()) (*process, error) {
	log, err := os.Create(c.log)
	if err != nil {
		return nil, fmt.Errorf("create log: %w", err)
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(c.args[0], c.args[1:]...) //nolint:noctx // a pod ends by signals, with a grace period
	cmd.Env, cmd.Dir = c.env, c.dir
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{command: c, cmd: cmd, started: time.Now()}
	go p.wait(ended)
	return p, nil
}

// failedProcess stands for a container whose program could not be started.
func failedProcess(cause error) *process {
	now := metav1.Now()
	return &process{started: now.Time, terminated: &corev1.ContainerStateTerminated{
		ExitCode: 128, Reason: "StartError", Message: cause.Error(), StartedAt: now, FinishedAt: now,
	}}
}

func (p *process) wait(ended func()) {
	err := p.cmd.Wait()
	// A container ends with its first process; so do the children of this one.
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	terminated := &corev1.ContainerStateTerminated{
		Reason: "Completed", StartedAt: metav1.NewTime(p.started), FinishedAt: metav1.Now(), ContainerID: p.id(),
	}
	if err != nil {
		terminated.Reason = "Error"
		terminated.ExitCode = exitCode(err)
	}
	terminated.Message = p.terminationMessage(err != nil)
	p.mu.Lock()
	p.terminated = terminated
	p.mu.Unlock()
	ended()
}

// exitCode follows shells and container runtimes: 128 and the signal's number for a process that was killed.
func exitCode(err error) int32 {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return 128
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int32(status.Signal())
	}
	return int32(exit.ExitCode())
}

func (p *process) terminationMessage(failed bool) string {
	message, _ := os.ReadFile(p.message) // A process need not write one.
	if len(message) > 0 {
		return string(message[:min(len(message), maxMessageBytes)])
	}
	if !failed || !p.messageFromLog {
		return ""
	}
	log, _ := os.ReadFile(p.log)
	log = log[max(0, len(log)-maxLogBytes):]
	lines := bytes.SplitAfter(log, []byte("\n"))
	return strings.TrimRight(string(bytes.Join(lines[max(0, len(lines)-maxLogLines):], nil)), "\n")
}

// state is the container's state now.
func (p *process) state() corev1.ContainerState {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.terminated != nil {
		return corev1.ContainerState{Terminated: p.terminated}
	}
	return corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(p.started)}}
}

func (p *process) id() string {
	if p.cmd == nil {
		return ""
	}
	return fmt.Sprintf("process://%d", p.cmd.Process.Pid)
}

// signal reaches the whole process group.
func (p *process) signal(signal syscall.Signal) {
	if p.state().Running != nil {
		_ = syscall.Kill(-p.cmd.Process.Pid, signal) // It may be over by now.
	}
}
