// Command demo shows node-agent at work on one machine: etcd and kube-apiserver are real, test/localnode plays the rest
// of a cluster, and the built node-agent runs against it unchanged. It needs no root, no container runtime and no
// cluster. `make demo` runs it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	program := flag.String("node-agent", "bin/node-agent", "the built node-agent")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the demo at once.
	context.AfterFunc(ctx, stop)

	err := run(ctx, *program)
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "\nInterrupted. Everything that was started has been stopped.")
	case err != nil:
		fmt.Fprintf(os.Stderr, "\nThe demo failed: %v\n", err)
	default:
		return
	}
	os.Exit(1)
}

func run(ctx context.Context, program string) (err error) {
	program, err = filepath.Abs(program)
	if err != nil {
		return err
	}
	if _, err := os.Stat(program); err != nil {
		return fmt.Errorf("find node-agent: %w", err)
	}
	d, err := newDemo(program, os.Stdout)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	err = d.play(ctx)
	if err != nil && ctx.Err() == nil {
		d.diagnose(ctx)
	}
	return err
}
