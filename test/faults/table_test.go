package faults

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// tableFile is the environment variable that names a file for the table: go test shows nothing of a suite that passes.
const tableFile = "FAULTS_TABLE"

// row adds up the verdicts of one scenario under one kind of condition.
type row struct {
	group, scenario     string
	calls               int
	runs, faults        int
	right, leaked, lost int
	took                time.Duration
	different           []string
}

var table []*row

func newRow(group, scenario string) *row {
	r := &row{group: group, scenario: scenario}
	table = append(table, r)
	return r
}

// add takes a verdict in. conditions is what to say about it if it is not clean.
func (r *row) add(v *verdict, conditions string) {
	r.runs++
	r.took += v.took
	r.calls = max(r.calls, len(v.controller)+len(v.mover))
	if v.injected {
		r.faults++
	}
	if len(v.wrong) == 0 {
		r.right++
	}
	r.leaked += len(v.leaked)
	r.lost += len(v.lost)
	if !v.clean() {
		r.different = append(r.different, conditions+": "+v.String())
	}
}

// check fails the spec if any run of the row was not clean.
func (r *row) check() {
	GinkgoHelper()
	Expect(strings.Join(r.different, "\n")).To(BeEmpty())
}

func printTable() string {
	var cells strings.Builder
	cells.WriteString("SCENARIO\tCALLS\tRUNS\tFAULTS INJECTED\tENDED RIGHT\tLEAKED\tLOST\tTOOK\n")
	line := func(name string, r *row) {
		fmt.Fprintf(&cells, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%s\n",
			name, r.calls, r.runs, r.faults, r.right, r.leaked, r.lost, r.took.Round(100*time.Millisecond))
	}
	group, total := "", row{}
	for _, r := range table {
		if r.group != group {
			group = r.group
			fmt.Fprintf(&cells, "%s:\t\t\t\t\t\t\t\n", group)
		}
		line("  "+r.scenario, r)
		total.sum(r)
	}
	line("all", &total)
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	_, err := io.WriteString(w, cells.String())
	Expect(errors.Join(err, w.Flush())).To(Succeed())
	return text.String()
}

// sum adds another row.
func (r *row) sum(other *row) {
	r.calls = max(r.calls, other.calls)
	r.runs += other.runs
	r.faults += other.faults
	r.right += other.right
	r.leaked += other.leaked
	r.lost += other.lost
	r.took += other.took
}

var _ = ReportAfterSuite("table of the fault suite", func(Report) {
	if len(table) == 0 {
		return
	}
	text := printTable()
	_, err := os.Stdout.WriteString("\n" + text)
	Expect(err).NotTo(HaveOccurred())
	if path := os.Getenv(tableFile); path != "" {
		Expect(os.WriteFile(path, []byte(text), 0o600)).To(Succeed())
	}
})
