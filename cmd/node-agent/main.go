// Command node-agent moves CSI volume snapshots into Velero's backup repositories. In Velero's images the same program
// is called /velero.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/node-agent/node-agent/cmd/node-agent/app"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the process at once.
	context.AfterFunc(ctx, stop)

	os.Exit(app.Main(ctx, os.Args[1:], os.Stdout, os.Stderr))
}
