package app

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/node-agent/node-agent/pkg/agent"
	"github.com/node-agent/node-agent/pkg/config/schema"
	"github.com/node-agent/node-agent/pkg/metrics"
)

// Defaults that are Velero's.
const (
	defaultPrepareTimeout  = 30 * time.Minute
	defaultResourceTimeout = 10 * time.Minute
	defaultMetricsAddress  = ":8085"
)

// defaultMaxAttempts is ours: Velero's agent gives up with the first backup pod that is lost.
const defaultMaxAttempts = 3

// defaultVerifyPercent costs next to nothing, and finds a store that keeps nothing.
const defaultVerifyPercent = 1

// defaultHealthAddress is ours: Velero's agent has no health endpoint.
const defaultHealthAddress = ":8081"

func newServerCommand(g *globalOptions) *cobra.Command {
	options := agent.Options{UnknownKeys: schema.RefuseUnknownKeys}
	command := &cobra.Command{
		Use:   "server",
		Short: "Run the node agent: reconcile DataUploads while this agent leads",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if options.RESTConfig, err = g.restConfig(); err != nil {
				return err
			}
			if options.PrepareTimeout <= 0 {
				return fmt.Errorf("--data-mover-prepare-timeout is %s, it must be more than zero", options.PrepareTimeout)
			}
			if options.MaxAttempts < 1 {
				return fmt.Errorf("--data-mover-max-attempts is %d, it must be at least 1", options.MaxAttempts)
			}
			if options.VerifyPercent < 0 || options.VerifyPercent > 100 {
				return fmt.Errorf("--data-mover-verify-percent is %d, it must be from 0 to 100", options.VerifyPercent)
			}
			if options.FullReadEvery < 0 {
				return fmt.Errorf("--data-mover-full-read-every is %s, it must not be less than zero", options.FullReadEvery)
			}
			options.Namespace = g.namespace
			options.NodeName = nodeName()
			options.Log = g.log
			version, commit := buildVersion()
			metrics.SetBuildInfo(version)
			g.log.WithField("version", version).WithField("commit", commit).WithField("node", options.NodeName).Info("starting")
			return agent.Run(cmd.Context(), options)
		},
	}
	flags := command.Flags()
	flags.StringVar(&options.ConfigMap, configMapFlag, "", "name of the ConfigMap with the configuration, in Velero's namespace")
	flags.Var(&options.UnknownKeys, unknownKeysFlag, unknownKeysUsage)
	flags.DurationVar(&options.PrepareTimeout, "data-mover-prepare-timeout", defaultPrepareTimeout,
		"how long a DataUpload may take to be prepared before it is canceled")
	flags.IntVar(&options.MaxAttempts, "data-mover-max-attempts", defaultMaxAttempts,
		"how many backup pods may be lost to one DataUpload, by eviction or with their node, before it fails")
	flags.BoolVar(&options.VerifyRestores, "data-mover-restore-verify", false,
		"let restore pods read the volume once all is written, and compare every byte with the repository")
	flags.BoolVar(&options.StrictRestores, "data-mover-restore-strict", false,
		"fail restores into volumes that refuse an owner, mode, time or symbolic link, instead of counting those")
	flags.IntVar(&options.VerifyPercent, "data-mover-verify-percent", defaultVerifyPercent,
		"share of what a backup pod has written to the object store that it reads back and compares; at least one object, none with 0")
	flags.DurationVar(&options.FullReadEvery, "data-mover-full-read-every", 0,
		"let a backup read all files again if that was not done for so long, also those whose size and time have not changed; never with 0")
	flags.StringVar(&options.MetricsAddress, "metrics-address", defaultMetricsAddress, "address to serve /metrics on")
	flags.StringVar(&options.HealthAddress, "health-address", defaultHealthAddress, "address to serve /healthz and /readyz on")
	flags.BoolVar(&options.ManageRepositories, "manage-repositories", false,
		"initialise backup repositories; only where no Velero server runs")

	// Velero's agent takes these for file-system backups and restores. They have no effect on DataUploads.
	flags.Duration("resource-timeout", defaultResourceTimeout, "accepted for Velero's sake")
	flags.String("backup-repository-configmap", "", "accepted for Velero's sake")
	return command
}

// nodeName is the node's name from the environment that the DaemonSet sets, else the host's.
func nodeName() string {
	if name := os.Getenv("NODE_NAME"); name != "" {
		return name
	}
	name, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return name
}
