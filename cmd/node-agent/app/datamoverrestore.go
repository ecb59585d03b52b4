package app

import (
	"github.com/spf13/cobra"

	"github.com/node-agent/node-agent/pkg/mover"
)

func newDataMoverRestoreCommand(g *globalOptions) *cobra.Command {
	o := &moverOptions{kind: "DataDownload", nameFlag: "data-download"}
	var cacheVolumePath string
	var verify, strict bool
	cmd := &cobra.Command{
		Use:   "restore",
		Short: "Restore a snapshot into the volume of a DataDownload",
		Long: "Write the snapshot of a DataDownload into a volume, and leave the result in the termination message.\n" +
			"Restore pods run this; it waits until the DataDownload is InProgress. Exit code 75 says that another attempt may succeed.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.run(cmd, g, "dataDownload", func(options mover.Options) error {
				return mover.Restore(cmd.Context(), mover.RestoreOptions{
					Options: options, Open: mover.OpenRestorer, CacheVolumePath: cacheVolumePath, Verify: verify, Strict: strict,
				})
			})
		},
	}
	flags := o.bind(cmd)
	flags.StringVar(&cacheVolumePath, "cache-volume-path", "",
		"mount point of a volume for the cache of the repository; without it, the cache is in the working directory")
	flags.BoolVar(&verify, "verify", false, "read the volume once all is written, and compare every byte with the repository")
	flags.BoolVar(&strict, "strict", false, "fail if the volume refuses an owner, mode, time or symbolic link")
	return cmd
}
