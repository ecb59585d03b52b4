package app

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/node-agent/node-agent/pkg/mover"
)

func newDataMoverBackupCommand(g *globalOptions) *cobra.Command {
	o := &moverOptions{
		kind: "DataUpload", nameFlag: "data-upload",
		// Newer agents of Velero pass them. They serve movers that read changed blocks only.
		ignored: []string{"change-id", "volume-id", "snapshot-id", "csi-snapshot-metadata-service-sa", "cbt-sa-name"},
	}
	var verifyPercent int
	var fullReadEvery time.Duration
	cmd := &cobra.Command{
		Use:   "backup",
		Short: "Upload the volume of a DataUpload",
		Long: "Upload the volume of a DataUpload into its backup repository, and leave the result in the termination message.\n" +
			"Backup pods run this; it waits until the DataUpload is InProgress. Exit code 75 says that another attempt may succeed.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.run(cmd, g, "dataUpload", func(options mover.Options) error {
				return mover.Upload(cmd.Context(), mover.UploadOptions{
					Options: options, Open: mover.OpenUploader, VerifyPercent: verifyPercent, FullReadEvery: fullReadEvery,
				})
			})
		},
	}
	flags := o.bind(cmd)
	flags.IntVar(&verifyPercent, "verify-percent", 0,
		"share of what was written to the object store that is read back and compared; at least one object, none with 0")
	flags.DurationVar(&fullReadEvery, "full-read-every", 0,
		"read all files again if that was not done for so long, also those whose size and time have not changed; never with 0")
	return cmd
}
