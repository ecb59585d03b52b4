package app

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"

	"github.com/node-agent/node-agent/pkg/expose"
	"github.com/node-agent/node-agent/pkg/location"
	"github.com/node-agent/node-agent/pkg/mover"
)

const (
	// scratchVariable names a directory of the agent's pod, and by it of backup pods, that may be written to.
	scratchVariable = "VELERO_SCRATCH_DIR"

	nodeVariable = "NODE_NAME"
)

// ignoredBackupFlags are passed by newer agents of Velero. They serve movers that read changed blocks only.
var ignoredBackupFlags = []string{
	"change-id", "volume-id", "snapshot-id", "csi-snapshot-metadata-service-sa", "cbt-sa-name",
}

// backupOptions are the flags of `data-mover backup`.
type backupOptions struct {
	volumePath             string
	volumeMode             string
	dataUpload             string
	attempt                int
	resourceTimeout        time.Duration
	terminationMessagePath string
}

func newDataMoverBackupCommand(g *globalOptions) *cobra.Command {
	o := &backupOptions{}
	cmd := &cobra.Command{
		Use:   "backup",
		Short: "Upload the volume of a DataUpload",
		Long: "Upload the volume of a DataUpload into its backup repository, and leave the result in the termination message.\n" +
			"Backup pods run this; it waits until the DataUpload is InProgress. Exit code 75 says that another attempt may succeed.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.validate(); err != nil {
				return err
			}
			return runBackup(cmd, g, o)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.volumePath, "volume-path", "", "mount point of the volume, or its device")
	flags.StringVar(&o.volumeMode, "volume-mode", "", "mode of the volume: Filesystem or Block")
	flags.StringVar(&o.dataUpload, "data-upload", "", "name of the DataUpload")
	flags.IntVar(&o.attempt, "attempt", 1, "number of the attempt at the DataUpload; it stops when a later one has begun")
	flags.DurationVar(&o.resourceTimeout, "resource-timeout", 0, "how long it may take to open the repository")
	for _, name := range []string{"volume-path", "volume-mode", "data-upload", "resource-timeout"} {
		// It fails for unknown flags only.
		_ = cmd.MarkFlagRequired(name)
	}
	flags.StringVar(&o.terminationMessagePath, "termination-message-path", corev1.TerminationMessagePathDefault,
		"file for the result")
	for _, name := range ignoredBackupFlags {
		flags.String(name, "", "accepted for Velero's sake")
	}
	return cmd
}

func (o *backupOptions) validate() error {
	switch mode := corev1.PersistentVolumeMode(o.volumeMode); {
	case mode != corev1.PersistentVolumeFilesystem && mode != corev1.PersistentVolumeBlock:
		return fmt.Errorf("--volume-mode is %q, it must be %s or %s",
			o.volumeMode, corev1.PersistentVolumeFilesystem, corev1.PersistentVolumeBlock)
	case o.volumePath == "":
		return errors.New("--volume-path is empty")
	case o.dataUpload == "":
		return errors.New("--data-upload is empty")
	case o.attempt < 1:
		return fmt.Errorf("--attempt is %d, it must be 1 or more", o.attempt)
	case o.resourceTimeout <= 0:
		return fmt.Errorf("--resource-timeout is %s, it must be more than 0", o.resourceTimeout)
	default:
		return nil
	}
}

func runBackup(cmd *cobra.Command, g *globalOptions, o *backupOptions) error {
	log := g.log.WithFields(logrus.Fields{
		"dataUpload": g.namespace + "/" + o.dataUpload,
		"node":       os.Getenv(nodeVariable),
	})
	for _, name := range ignoredBackupFlags {
		if cmd.Flags().Changed(name) {
			log.Debugf("Flag --%s has no effect", name)
		}
	}
	limitMemory(os.DirFS("/"), log)

	config, err := g.restConfig()
	if err != nil {
		return err
	}
	c, err := mover.NewClient(config)
	if err != nil {
		return err
	}
	if dir := os.Getenv(expose.SecretsDirVariable); dir != "" {
		c = location.WithMountedSecrets(c, dir)
	}
	workDir, err := os.MkdirTemp(os.Getenv(scratchVariable), "data-mover-")
	if err != nil {
		return fmt.Errorf("make a working directory: %w", err)
	}
	defer removeWorkDir(workDir, log)

	return mover.Upload(cmd.Context(), mover.UploadOptions{
		Options: mover.Options{
			Namespace:              g.namespace,
			Name:                   o.dataUpload,
			Attempt:                o.attempt,
			VolumePath:             o.volumePath,
			VolumeMode:             corev1.PersistentVolumeMode(o.volumeMode),
			ResourceTimeout:        o.resourceTimeout,
			TerminationMessagePath: o.terminationMessagePath,
			WorkDir:                workDir,
			Client:                 c,
			Clock:                  clock.RealClock{},
			Log:                    log,
		},
		Open: mover.OpenUploader,
	})
}

// removeWorkDir removes what holds credentials.
func removeWorkDir(dir string, log logrus.FieldLogger) {
	if err := os.RemoveAll(dir); err != nil {
		log.WithError(err).Warn("Cannot remove the working directory")
	}
}
