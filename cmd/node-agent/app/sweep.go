package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/node-agent/node-agent/pkg/agent"
	"github.com/node-agent/node-agent/pkg/controller/sweep"
)

const (
	defaultSweepTimeout = 5 * time.Minute
	// sweepInterval is how soon to look again whether an object is gone.
	sweepInterval = time.Second
	// requestTimeout bounds a single request, so that a dead API server cannot hold the command up for ever.
	requestTimeout = 30 * time.Second
)

// sweepOptions are the flags of `sweep`.
type sweepOptions struct {
	dryRun  bool
	grace   time.Duration
	timeout time.Duration
}

func newSweepCommand(g *globalOptions) *cobra.Command {
	o := &sweepOptions{}
	cmd := &cobra.Command{
		Use:   "sweep",
		Short: "Remove what was left over of DataUploads and DataDownloads that are gone",
		Long: "Remove pods, PVCs, PersistentVolumes, alias VolumeSnapshots and VolumeSnapshotContents that node-agent made for\n" +
			"DataUploads and DataDownloads which are gone, or which have ended but lost their finalizer. A restored volume that\n" +
			"its target PVC waits for is handed over. The leader does the same every half a minute. It fails if something could\n" +
			"not be removed in time.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case o.grace < 0:
				return fmt.Errorf("--grace is %s, it must not be negative", o.grace)
			case o.timeout <= 0:
				return fmt.Errorf("--timeout is %s, it must be more than zero", o.timeout)
			}
			return runSweep(cmd, g, o)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&o.dryRun, "dry-run", false, "only list what would be removed")
	flags.DurationVar(&o.grace, "grace", sweep.DefaultGrace,
		"how long to let objects alone after they were made and their DataUpload ended")
	flags.DurationVar(&o.timeout, "timeout", defaultSweepTimeout, "how long to wait until everything is gone")
	return cmd
}

func runSweep(cmd *cobra.Command, g *globalOptions, o *sweepOptions) error {
	// The table has the standard output to itself.
	g.log.SetOutput(cmd.ErrOrStderr())
	config, err := g.restConfig()
	if err != nil {
		return err
	}
	config.Timeout = requestTimeout
	sweeper, err := agent.NewSweeper(config, g.namespace, o.grace, g.log)
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	report, err := sweeper.Look(cmd.Context())
	if err != nil {
		return err
	}
	if err := printLeftovers(out, report, time.Now()); err != nil || o.dryRun || len(report.Left) == 0 {
		return err
	}
	return sweepAll(cmd.Context(), sweeper, out, o.timeout)
}

// sweepAll makes rounds until nothing is left, or time is up.
func sweepAll(ctx context.Context, sweeper *sweep.Sweeper, out io.Writer, timeout time.Duration) error {
	again, timeUp := time.NewTicker(sweepInterval), time.NewTimer(timeout)
	defer again.Stop()
	defer timeUp.Stop()
	var left []*sweep.Orphans
	var failures []error
	removed := 0
	for {
		report, err := sweeper.Round(ctx)
		if err == nil {
			left, failures = report.Left, report.Failed
		} else {
			failures = []error{err}
		}
		for _, object := range report.Removed {
			removed++
			if _, err := fmt.Fprintf(out, "removed %s %s\n", object.Kind, object); err != nil {
				return err
			}
		}
		if err == nil && len(left) == 0 {
			_, err := fmt.Fprintf(out, "%d objects removed, nothing is left over\n", removed)
			return err
		}
		select {
		case <-ctx.Done():
			return stillLeft("interrupted", left, nil)
		case <-timeUp.C:
			return stillLeft(fmt.Sprintf("not everything could be removed within %s", timeout), left, failures)
		case <-again.C:
		}
	}
}

// stillLeft says what was not removed, and why if that is known.
func stillLeft(text string, left []*sweep.Orphans, failures []error) error {
	separator := ", still there: "
	for _, orphans := range left {
		for _, object := range orphans.Objects {
			text += fmt.Sprintf("%s%s %s", separator, object.Kind, object)
			separator = ", "
		}
	}
	for _, err := range failures {
		text += "; " + err.Error()
	}
	return errors.New(text)
}

// printLeftovers prints one line for each object, and how much there is whose grace time is not over.
func printLeftovers(out io.Writer, report sweep.Report, now time.Time) error {
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	if len(report.Left) > 0 {
		_, _ = fmt.Fprintln(table, "KIND\tNAME\tAGE\tMADE FOR\tWHY") // Flush tells of errors
	}
	for _, orphans := range report.Left {
		for _, object := range orphans.Objects {
			_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n",
				object.Kind, object, duration.HumanDuration(now.Sub(object.Created)), orphans, orphans.Why)
		}
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("writing the table: %w", err)
	}
	if len(report.Left) == 0 {
		if _, err := fmt.Fprintln(out, "nothing to remove"); err != nil {
			return fmt.Errorf("writing the table: %w", err)
		}
	}
	for _, orphans := range report.Early {
		_, err := fmt.Fprintf(out, "%s: %d objects are let alone for another %s: %s\n", orphans, len(orphans.Objects),
			duration.HumanDuration(orphans.Due.Sub(now)), orphans.Why)
		if err != nil {
			return fmt.Errorf("writing the table: %w", err)
		}
	}
	return nil
}
