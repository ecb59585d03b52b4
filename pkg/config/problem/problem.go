// Package problem says what is wrong with a configuration, where, and what may be meant.
package problem

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Max bounds how much a hopeless text (a wrong file, say) writes into logs and events.
const Max = 100

// Problem is one thing that is wrong with a configuration.
type Problem struct {
	// Line and Column count from 1, Column in characters (code points; a tab is one). Both are 0 if the problem is not in the
	// text of the value but with the ConfigMap around it.
	Line   int `json:"line,omitempty"`
	Column int `json:"column,omitempty"`
	// Path of the key or value, as in backupPVC.gold.readOnly or loadAffinity[0].storageClass. Empty for the document itself.
	Path string `json:"path,omitempty"`
	// Message says what is wrong. It may be empty if Found and Expected say all.
	Message string `json:"message,omitempty"`
	// Found is what the text has at the position, Expected what belongs there. Either may be empty.
	Found    string `json:"found,omitempty"`
	Expected string `json:"expected,omitempty"`
	// Suggestion is the way out, as in `did you mean "readOnly"?`. It may be empty.
	Suggestion string `json:"suggestion,omitempty"`
}

// in returns the problem as one line: source:line:column: path: message: found X, expected Y; suggestion.
func (p Problem) in(source string) string {
	if p.Line > 0 {
		source = fmt.Sprintf("%s:%d:%d", source, p.Line, p.Column)
	}
	return join(": ", source, p.Path, p.Text())
}

// Text says what is wrong, as in "message: found X, expected Y; suggestion".
func (p Problem) Text() string {
	found, expected := p.Found, p.Expected
	if found != "" {
		found = "found " + found
	}
	if expected != "" {
		expected = "expected " + expected
	}
	return join("; ", join(": ", p.Message, join(", ", found, expected)), p.Suggestion)
}

func join(separator string, parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(part string) bool { return part == "" }), separator)
}

// Error says that a configuration cannot be used, and everything that is wrong with it.
type Error struct {
	// Source names the ConfigMap and its key, or the file.
	Source string
	// Problems are sorted by position. There is at least one.
	Problems []Problem
	// Omitted counts the problems beyond the first hundred.
	Omitted int
}

// Error returns one line for each problem.
func (e *Error) Error() string {
	return strings.Join(e.lines(), "\n")
}

func (e *Error) lines() []string {
	lines := make([]string, 0, len(e.Problems)+1)
	for _, problem := range e.Problems {
		lines = append(lines, problem.in(e.Source))
	}
	if e.Omitted > 0 {
		lines = append(lines, fmt.Sprintf("%s: and %d more", e.Source, e.Omitted))
	}
	return lines
}

// Lines writes warnings as errors are written. It is nil if there are none.
func Lines(source string, problems []Problem) []string {
	if len(problems) == 0 {
		return nil
	}
	return NewError(source, problems...).lines()
}

// NewError makes an error of at least one problem.
func NewError(source string, problems ...Problem) *Error {
	slices.SortStableFunc(problems, byPosition)
	kept := problems[:min(len(problems), Max)]
	return &Error{Source: source, Problems: kept, Omitted: len(problems) - len(kept)}
}

func byPosition(a, b Problem) int {
	return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
}
