// Package app holds the command line of node-agent.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/node-agent/node-agent/pkg/mover"
)

const programName = "node-agent"

// Main runs the command line args, without the program's name, and returns the exit code: 0, or after it has written the
// error to stderr 1, but for a data mover whose failure another attempt may not meet.
func Main(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRootCommand()
	// A nil slice would mean the arguments of the process.
	root.SetArgs(append([]string{}, args...))
	root.SetOut(stdout)
	root.SetErr(stderr)
	if err := root.ExecuteContext(ctx); err != nil {
		_, _ = fmt.Fprintf(stderr, "%s: %v\n", programName, err)
		if exit, ok := errors.AsType[*mover.ExitError](err); ok {
			return exit.Code
		}
		return 1
	}
	return 0
}

func newRootCommand() *cobra.Command {
	g := &globalOptions{}
	root := newGroup(programName, "Move CSI volume snapshots into Velero's backup repositories")
	root.Version = versionText()
	root.SetVersionTemplate("{{.Version}}\n")
	root.SilenceErrors = true
	root.SilenceUsage = true
	root.DisableSuggestions = true
	root.CompletionOptions.DisableDefaultCmd = true
	root.PersistentPreRunE = g.complete
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w, see '%s --help'", err, cmd.CommandPath())
	})
	g.bindFlags(root.PersistentFlags())

	dataMover := newGroup("data-mover", "Run the process of a backup or restore pod")
	dataMover.AddCommand(newDataMoverBackupCommand(g), newDataMoverRestoreCommand(g))

	// The DaemonSet of `velero install` calls the server as `velero node-agent server`.
	asVelero := newGroup("node-agent", "Run the node agent, as `velero node-agent` does")
	asVelero.Hidden = true
	asVelero.AddCommand(newServerCommand(g))

	root.AddCommand(newServerCommand(g), asVelero, dataMover, newConfigCommand(g), newSweepCommand(g), newVersionCommand())
	return root
}

// newGroup makes a command that only holds others. It refuses unknown ones, which cobra alone does for the root only.
func newGroup(name, short string) *cobra.Command {
	return &cobra.Command{
		Use:   name,
		Short: short,
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
}
