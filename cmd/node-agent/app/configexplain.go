package app

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/node-agent/node-agent/pkg/config/check"
	"github.com/node-agent/node-agent/pkg/config/explain"
	"github.com/node-agent/node-agent/pkg/config/schema"
)

// newConfigExplainCommand makes `node-agent config explain`.
func newConfigExplainCommand(g *globalOptions) *cobra.Command {
	return newConfigSubcommand(g, "explain", "Say in plain words what a node-agent ConfigMap comes to for each storage class and node",
		func(cmd *cobra.Command, document *schema.Checked, cluster *check.Cluster) error {
			if err := document.Err(); err != nil {
				return err
			}
			_, err := fmt.Fprint(cmd.OutOrStdout(), explain.Text(document.Source, document.Config, cluster))
			return err
		})
}
