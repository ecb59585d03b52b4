package schema

import (
	"encoding/json"
	"fmt"

	"go.yaml.in/yaml/v4"

	"github.com/node-agent/node-agent/pkg/config"
	"github.com/node-agent/node-agent/pkg/config/document"
	"github.com/node-agent/node-agent/pkg/config/problem"
)

// Decoder reads configurations. The zero value is as strict as it should be.
type Decoder struct {
	// UnknownKeys says what becomes of keys that do not exist. Empty: they are errors.
	UnknownKeys UnknownKeys
}

// Decode reads a configuration, checks it and fills in defaults. A text whose first character is '{' or '[' is JSON, any
// other is YAML. The source names the text in messages.
//
// An error is a *problem.Error that holds all problems; after a syntax error that leaves in doubt what is meant, none that follow.
func (d Decoder) Decode(source string, text []byte) (*config.Config, error) {
	checked := d.Check(source, text)
	return checked.Config, checked.Err()
}

// Check reads a configuration as Decode does and keeps what is known about it.
func (d Decoder) Check(source string, text []byte) *Checked {
	checked := &Checked{Source: source, IsJSON: json.Valid(text)}
	tree, problems := document.Parse(text)
	if tree == nil {
		checked.Problems = problems
		return checked
	}
	// A document that is null has no settings, as in Velero.
	if document.KindOf(tree) == document.Null {
		tree = &yaml.Node{Kind: yaml.MappingNode, Line: tree.Line, Column: tree.Column}
	}
	check := &checker{tolerant: d.UnknownKeys == WarnOfUnknownKeys, problems: problems}
	if !check.checkManifest(tree) {
		check.check(tree, root, "")
	}
	checked.tree, checked.Problems = tree, check.problems
	checked.Warnings, checked.UnknownKeys = check.warnings, check.unknownKeys
	if len(check.problems) > 0 {
		return checked
	}
	cfg, err := decode(tree)
	if err != nil {
		checked.Problems = []problem.Problem{{
			Line: tree.Line, Column: tree.Column, Message: fmt.Sprintf("the configuration cannot be decoded: %v", err),
		}}
		return checked
	}
	checked.Config = cfg
	return checked
}

// decode turns a checked document into a Config. Going through encoding/json keeps the meaning that Kubernetes gives to
// its own types.
func decode(tree *yaml.Node) (*config.Config, error) {
	var plain any
	if err := tree.Decode(&plain); err != nil {
		return nil, err
	}
	encoded, err := json.Marshal(plain)
	if err != nil {
		return nil, err
	}
	cfg := &config.Config{}
	if err := json.Unmarshal(encoded, cfg); err != nil {
		return nil, err
	}
	cfg.SetDefaults()
	return cfg, nil
}
