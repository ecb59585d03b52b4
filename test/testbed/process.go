package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	stopGrace = 20 * time.Second
	look      = 200 * time.Millisecond
)

// program is a program that runs in the background until it is stopped.
type program struct {
	name string
	args []string
	env  []string
	// file to run, if it is not the name.
	file string
}

// start starts a program unless it runs.
func (b *bed) start(p program) error {
	if b.pid(p.name) != 0 {
		return nil
	}
	file := p.file
	if file == "" {
		file = p.name
	}
	log, err := os.OpenFile(b.path("logs", p.name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	// It outlives this process, so no context ends it.
	cmd := exec.CommandContext(context.Background(), file, p.args...)
	cmd.Env = append(os.Environ(), p.env...)
	cmd.Dir = state
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	pid := cmd.Process.Pid
	identity := fmt.Sprintf("%d %s", pid, startTime(pid))
	if err := os.WriteFile(b.pidFile(p.name), []byte(identity), 0o600); err != nil {
		return errors.Join(err, cmd.Process.Kill())
	}
	return cmd.Process.Release()
}

// stop asks a program to end, then makes it.
func (b *bed) stop(ctx context.Context, name string) error {
	for _, attempt := range []struct {
		signal syscall.Signal
		wait   time.Duration
	}{{syscall.SIGTERM, stopGrace}, {syscall.SIGKILL, stopGrace}} {
		pid := b.pid(name)
		if pid == 0 {
			break
		}
		if err := syscall.Kill(pid, attempt.signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("stop %s: %w", name, err)
		}
		gone := func() error {
			if b.pid(name) != 0 {
				return fmt.Errorf("%s (process %d) does not end", name, pid)
			}
			return nil
		}
		if err := until(ctx, attempt.wait, gone); err != nil && attempt.signal == syscall.SIGKILL {
			return err
		}
	}
	err := os.Remove(b.pidFile(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (b *bed) pidFile(name string) string { return b.path("run", name+".pid") }

// pid is the process of a program, or 0 if it does not run. Numbers of processes are used again, so the time at which it started
// is compared too.
func (b *bed) pid(name string) int {
	content, err := os.ReadFile(b.pidFile(name))
	if err != nil {
		return 0
	}
	number, started, _ := strings.Cut(string(content), " ")
	pid, err := strconv.Atoi(number)
	if err != nil || started == "" || startTime(pid) != started {
		return 0
	}
	return pid
}

// startTime is when a process started, in ticks since boot; empty if there is no such process or only its remains.
func startTime(pid int) string {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	// The name in parentheses may hold spaces; after it come the state and, as field 22 of all, the start time.
	fields := strings.Fields(string(content[strings.LastIndexByte(string(content), ')')+1:]))
	const stateField, startField = 0, 22 - 3
	if len(fields) <= startField || fields[stateField] == "Z" {
		return ""
	}
	return fields[startField]
}

// until repeats what fails until it works or the time is over.
func until(ctx context.Context, limit time.Duration, try func() error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("after %s: %w", limit, err)
		case <-ticker.C:
		}
	}
}
