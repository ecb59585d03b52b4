package app

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/node-agent/node-agent/pkg/config/check"
	"github.com/node-agent/node-agent/pkg/config/schema"
)

const (
	tableOutput = "table"
	jsonOutput  = "json"
)

// newConfigCheckCommand makes `node-agent config check`, which fails if there is an error.
func newConfigCheckCommand(g *globalOptions) *cobra.Command {
	output := tableOutput
	command := newConfigSubcommand(g, "check", "Find all that is wrong with a node-agent ConfigMap",
		func(cmd *cobra.Command, document *schema.Checked, cluster *check.Cluster) error {
			report := check.Against(document, cluster)
			if err := writeReport(cmd.OutOrStdout(), report, output); err != nil {
				return fmt.Errorf("write the result: %w", err)
			}
			if !report.Valid {
				return fmt.Errorf("%s is not valid", report.Source)
			}
			return nil
		})
	command.Flags().StringVarP(&output, "output", "o", tableOutput, "form of the result: "+tableOutput+" or "+jsonOutput)
	command.PreRunE = func(*cobra.Command, []string) error {
		if output != tableOutput && output != jsonOutput {
			return fmt.Errorf("--output is %q, it must be %s or %s", output, tableOutput, jsonOutput)
		}
		return nil
	}
	return command
}

func writeReport(to io.Writer, report *check.Report, form string) error {
	if form == jsonOutput {
		encoder := json.NewEncoder(to)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		return encoder.Encode(report)
	}
	return writeTable(to, report)
}

func writeTable(to io.Writer, report *check.Report) error {
	rows := []string{"LEVEL\tLINE\tCOLUMN\tPATH\tPROBLEM"}
	for _, finding := range report.Findings {
		line, column := "-", "-"
		if finding.Line > 0 {
			line, column = strconv.Itoa(finding.Line), strconv.Itoa(finding.Column)
		}
		cells := []string{string(finding.Level), line, column, cmp.Or(finding.Path, "-"), finding.Text()}
		rows = append(rows, strings.Join(cells, "\t"))
	}
	if len(report.Findings) == 0 {
		rows = nil
	}
	// The last line is no part of the table.
	rows = append(rows, summary(report))
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	if _, err := fmt.Fprintln(table, strings.Join(rows, "\n")); err != nil {
		return err
	}
	return table.Flush()
}

// summary says in one line how it is, as in "config.json, key a: valid, 1 warning".
func summary(report *check.Report) string {
	name := report.Source
	if report.Key != "" && !strings.HasSuffix(name, ", key "+report.Key) {
		name += ", key " + report.Key
	}
	result := "valid"
	if !report.Valid {
		result = "not valid"
	}
	for _, level := range []check.Level{check.Error, check.Warning, check.Note} {
		count := report.Count(level)
		if level == check.Error {
			count += report.Omitted
		}
		if count > 0 {
			result += fmt.Sprintf(", %d %s", count, plural(count, string(level)))
		}
	}
	if report.Omitted > 0 {
		result += fmt.Sprintf(", of which %d are not shown", report.Omitted)
	}
	return name + ": " + result
}

func plural(count int, word string) string {
	if count == 1 {
		return word
	}
	return word + "s"
}
