package faults

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// tableFile is the environment variable that names a file for the table: go test shows nothing of a suite that passes.
const tableFile = "FAULTS_TABLE"

// rowEntry names the report entries that hold rows. A report is what the processes of a complete run share.
const rowEntry = "row"

// row adds up the verdicts of one scenario under one kind of condition.
type row struct {
	Group, Scenario     string
	Calls               int
	Runs, Faults        int
	Right, Leaked, Lost int
	Took                time.Duration
	// Different tells of each verdict that was not clean.
	Different []string
}

// newRow begins a row of the table. It is reported as it is when its spec ends, however that does.
func newRow(group, scenario string) *row {
	r := &row{Group: group, Scenario: scenario}
	AddReportEntry(rowEntry, r, ReportEntryVisibilityNever)
	return r
}

// add takes a verdict in. conditions is what to say about it if it is not clean.
func (r *row) add(v *verdict, conditions string) {
	r.Runs++
	r.Took += v.took
	r.Calls = max(r.Calls, len(v.controller)+len(v.mover))
	if v.injected {
		r.Faults++
	}
	if len(v.wrong) == 0 {
		r.Right++
	}
	r.Leaked += len(v.leaked)
	r.Lost += len(v.lost)
	if !v.clean() {
		r.Different = append(r.Different, conditions+": "+v.String())
	}
}

// check fails the spec if any run of the row was not clean.
func (r *row) check() {
	GinkgoHelper()
	Expect(strings.Join(r.Different, "\n")).To(BeEmpty())
}

// rowsOf finds the rows of all processes, and makes one of those of the same scenario.
func rowsOf(report Report) []row {
	var rows []row
	for _, spec := range report.SpecReports {
		for _, entry := range spec.ReportEntries {
			if entry.Name != rowEntry {
				continue
			}
			text, err := json.Marshal(entry.GetRawValue())
			Expect(err).NotTo(HaveOccurred())
			var r row
			Expect(json.Unmarshal(text, &r)).To(Succeed())
			rows = append(rows, r)
		}
	}
	order := func(a, b row) int {
		return cmp.Or(strings.Compare(a.Group, b.Group), strings.Compare(a.Scenario, b.Scenario))
	}
	slices.SortStableFunc(rows, order)
	var merged []row
	for _, r := range rows {
		if last := len(merged) - 1; last >= 0 && order(merged[last], r) == 0 {
			merged[last].sum(r)
		} else {
			merged = append(merged, r)
		}
	}
	return merged
}

func printTable(rows []row) string {
	var cells strings.Builder
	cells.WriteString("SCENARIO\tCALLS\tRUNS\tFAULTS INJECTED\tENDED RIGHT\tLEAKED\tLOST\tTOOK\n")
	line := func(name string, r row) {
		fmt.Fprintf(&cells, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%s\n",
			name, r.Calls, r.Runs, r.Faults, r.Right, r.Leaked, r.Lost, r.Took.Round(100*time.Millisecond))
	}
	group, total := "", row{}
	for _, r := range rows {
		if r.Group != group {
			group = r.Group
			fmt.Fprintf(&cells, "%s:\t\t\t\t\t\t\t\n", group)
		}
		line("  "+r.Scenario, r)
		total.sum(r)
	}
	line("all", total)
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	_, err := io.WriteString(w, cells.String())
	Expect(errors.Join(err, w.Flush())).To(Succeed())
	return text.String()
}

// sum adds another row.
func (r *row) sum(other row) {
	r.Calls = max(r.Calls, other.Calls)
	r.Runs += other.Runs
	r.Faults += other.Faults
	r.Right += other.Right
	r.Leaked += other.Leaked
	r.Lost += other.Lost
	r.Took += other.Took
}

var _ = ReportAfterSuite("table of the fault suite", func(report Report) {
	rows := rowsOf(report)
	if len(rows) == 0 {
		return
	}
	text := printTable(rows)
	_, err := os.Stdout.WriteString("\n" + text)
	Expect(err).NotTo(HaveOccurred())
	if path := os.Getenv(tableFile); path != "" {
		Expect(os.WriteFile(path, []byte(text), 0o600)).To(Succeed())
	}
})
