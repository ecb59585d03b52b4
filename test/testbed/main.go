// Command testbed starts and stops a Kubernetes cluster of one node on this machine, with a CSI driver that makes snapshots, an
// S3 server and stock Velero. Its programs come from the PATH, see components.sh.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

const usage = `usage: testbed COMMAND

  up             start the cluster; what already runs is left alone
  down           stop it and remove every trace of it
  load FILE...   import image archives
  stop NAME      stop one of its programs, for example kubelet
  start NAME     start it again
  workload-image PROGRAM FILE
                 write the image of the application that the end-to-end suite backs up; needs no root`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "testbed:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New(usage)
	}
	if args[0] == "workload-image" && len(args) == 3 {
		return workload(args[1]).write(args[2])
	}
	return onBed(ctx, args[0], args[1:])
}

// onBed runs the commands that need the testbed.
func onBed(ctx context.Context, command string, names []string) error {
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		return errors.New("a kubelet needs Linux and root; with another cluster, point KUBECONFIG at it")
	}
	bed, err := newBed()
	if err != nil {
		return err
	}
	switch {
	case command == "up" && len(names) == 0:
		return bed.up(ctx)
	case command == "down" && len(names) == 0:
		return bed.down(ctx)
	case command == "load" && len(names) > 0:
		return bed.load(ctx, names)
	case command == "start" && len(names) == 1:
		return bed.startOne(names[0])
	case command == "stop" && len(names) == 1:
		return bed.stop(ctx, names[0])
	}
	return errors.New(usage)
}

// step is a part of the way up that is worth a line of its own.
type step struct {
	what string
	do   func(context.Context) error
}

func (b *bed) up(ctx context.Context) error {
	started := time.Now()
	for _, step := range []step{
		{"packages", b.installPackages},
		{"folders and network", b.prepare},
		{"programs of this module", b.buildPrograms},
		{"etcd, kube-apiserver", b.startControlPlane},
		{"kubelet, controllers, CSI driver", b.startNode},
		{"images", b.makeImages},
		{"storage classes", b.setUpStorage},
		{"Velero", b.setUpVelero},
	} {
		fmt.Printf("%-34s", step.what)
		begun := time.Now()
		if err := step.do(ctx); err != nil {
			fmt.Println(" failed")
			return fmt.Errorf("%s: %w (logs are in %s, `testbed down` cleans up)", step.what, err, b.path("logs"))
		}
		fmt.Printf(" %6.1f s\n", time.Since(begun).Seconds())
	}
	fmt.Printf("up after %.0f s; logs are in %s\n\nexport KUBECONFIG=%s PATH=%s:$PATH\n",
		time.Since(started).Seconds(), b.path("logs"), b.path("kubeconfig"), b.path("bin"))
	return nil
}
