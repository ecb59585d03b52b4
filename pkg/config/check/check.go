// Package check holds a configuration against the cluster that it is for, and reports on both. What is decided here is
// decided from objects that were read before; see Read.
package check

import (
	"cmp"
	"errors"
	"slices"

	"github.com/node-agent/node-agent/pkg/config"
	"github.com/node-agent/node-agent/pkg/config/problem"
	"github.com/node-agent/node-agent/pkg/config/schema"
)

// Level says how bad a finding is.
type Level string

const (
	// Error makes the configuration unusable, or backups fail.
	Error Level = "error"
	// Warning is what may not be meant.
	Warning Level = "warning"
	// Note is good to know.
	Note Level = "note"
)

// Finding is one thing to say about a configuration.
type Finding struct {
	Level Level `json:"level"`
	problem.Problem
}

// Report is all there is to say about a configuration.
type Report struct {
	// Source names the file, or the ConfigMap and its key.
	Source string `json:"source"`
	// Key of the ConfigMap, if the text was in one.
	Key string `json:"key,omitempty"`
	// Valid is false if there is an error.
	Valid bool `json:"valid"`
	// Findings are sorted by position.
	Findings []Finding `json:"findings"`
	// Omitted counts the errors beyond the first hundred.
	Omitted int `json:"omitted,omitempty"`
}

// Count returns how many findings have a level.
func (r *Report) Count(level Level) int {
	count := 0
	for _, finding := range r.Findings {
		if finding.Level == level {
			count++
		}
	}
	return count
}

// Against reports on a configuration. Without a cluster only the text counts.
func Against(document *schema.Checked, cluster *Cluster) *Report {
	report := &Report{Source: document.Source, Key: document.Key, Findings: []Finding{}}
	if invalid, wrong := errors.AsType[*problem.Error](document.Err()); wrong {
		report.add(Error, invalid.Problems)
		report.Omitted = invalid.Omitted
	}
	report.add(Warning, document.Warnings)
	if document.Config != nil && !document.IsJSON {
		line, column := document.Place("")
		report.add(Note, []problem.Problem{{
			Line: line, Column: column, Message: "`velero install` and Velero's own agent read JSON only, and refuse this text",
		}})
	}
	switch {
	case cluster == nil:
	case document.Config == nil:
		report.add(Note, []problem.Problem{{Message: "not held against the cluster, because of the errors"}})
	default:
		c := &checker{cfg: document.Config, cluster: cluster, document: document}
		c.run()
		report.Findings = append(report.Findings, c.findings...)
	}
	slices.SortStableFunc(report.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	report.Valid = report.Count(Error) == 0
	return report
}

func (r *Report) add(level Level, problems []problem.Problem) {
	for _, wrong := range problems {
		r.Findings = append(r.Findings, Finding{Level: level, Problem: wrong})
	}
}

// checker collects what there is to say about a configuration in a cluster.
type checker struct {
	cfg      *config.Config
	cluster  *Cluster
	document *schema.Checked
	findings []Finding
}

func (c *checker) run() {
	c.checkRights()
	c.checkStorageClasses()
	c.checkOtherClasses()
	c.checkNodes()
	c.checkSELinux()
	c.checkPodSecurity()
	c.checkPriorityClass()
	c.checkQuotas()
	c.checkLimitRanges()
	c.checkLocations()
}

// add puts a finding where its setting is in the text.
func (c *checker) add(level Level, wrong problem.Problem) {
	wrong.Line, wrong.Column = c.document.Place(wrong.Path)
	c.findings = append(c.findings, Finding{Level: level, Problem: wrong})
}

// checkRights tells what could not be checked.
func (c *checker) checkRights() {
	for _, kind := range c.cluster.unreadKinds() {
		c.add(Warning, problem.Problem{Message: "not checked against the cluster's " + kind, Found: c.cluster.Unread[kind]})
	}
}
