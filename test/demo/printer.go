package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/term"
)

const (
	stepWidth = 58
	textWidth = 90
)

// printer writes for a person: short lines, aligned.
type printer struct {
	out io.Writer
	// terminal tells whether somebody watches: only then lines are rewritten.
	terminal bool
	begun    time.Time
}

type fact struct{ name, value string }

func newPrinter(out io.Writer) *printer {
	file, ok := out.(*os.File)
	return &printer{out: out, terminal: ok && term.IsTerminal(int(file.Fd()))}
}

func (p *printer) title(text string) {
	if p.terminal {
		text = "\033[1m" + text + "\033[0m"
	}
	p.print("\n%s\n", text)
}

func (p *printer) print(format string, args ...any) {
	_, _ = fmt.Fprintf(p.out, format, args...) // Nothing can be done about a broken terminal.
}

func (p *printer) line(format string, args ...any) {
	p.print("  "+format+"\n", args...)
}

func (p *printer) lines(lines []string) {
	for _, line := range lines {
		p.line("%s", line)
	}
}

// begin announces a step that takes a while, and done says how long it took.
func (p *printer) begin(step string) {
	p.begun = time.Now()
	p.print("  %-*s ", stepWidth, step+" ...")
}

func (p *printer) done() {
	p.print("%s\n", p.seconds(time.Since(p.begun)))
}

func (p *printer) seconds(d time.Duration) string {
	return fmt.Sprintf("%5.1f s", d.Seconds())
}

// wrap breaks a text into lines of textWidth, between words.
func wrap(text string) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(word) > textWidth {
			lines = append(lines, line)
			line = ""
		}
		line = strings.TrimSpace(line + " " + word)
	}
	return append(lines, line)
}

// facts prints names and values in two columns.
func (p *printer) facts(facts ...fact) {
	rows := make([][]string, 0, len(facts))
	for _, fact := range facts {
		rows = append(rows, []string{fact.name, strings.TrimSpace(fact.value)})
	}
	p.table(rows)
}

func (p *printer) table(rows [][]string) {
	const gap = 3
	table := tabwriter.NewWriter(p.out, 0, 0, gap, ' ', 0)
	for _, row := range rows {
		_, _ = fmt.Fprintf(table, "  %s\n", strings.Join(row, "\t"))
	}
	_ = table.Flush()
}

// mib writes a number of bytes for people.
func mib(bytes int64) string {
	return fmt.Sprintf("%.0f MiB", float64(bytes)/(1<<20))
}
