package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// Decode reads a configuration, checks it and fills in defaults. A text whose first character is '{' or '[' is JSON, any
// other is YAML. The source names the text in messages.
//
// An error is an *Error that holds all problems, or only the first syntax error if the text cannot be parsed.
func Decode(source string, text []byte) (*Config, error) {
	tree, problems := parse(text)
	if len(problems) > 0 {
		return nil, newError(source, problems...)
	}
	check := &checker{}
	// A document that is null has no settings, as in Velero.
	if tree.kind == nullKind {
		tree.kind = objectKind
	}
	if !check.checkManifest(tree) {
		check.check(tree, root, "")
	}
	if len(check.problems) > 0 {
		return nil, newError(source, check.problems...)
	}
	cfg, err := tree.decode()
	if err != nil {
		return nil, newError(source, Problem{
			Line: tree.line, Column: tree.column, Message: fmt.Sprintf("the configuration cannot be decoded: %v", err),
		})
	}
	cfg.setDefaults()
	if len(check.warnings) > 0 {
		cfg.warnings = newError(source, check.warnings...).lines()
	}
	return cfg, nil
}

func parse(raw []byte) (*node, []Problem) {
	text, problem := readText(raw)
	if problem != nil {
		return nil, []Problem{*problem}
	}
	start := strings.TrimLeft(text, " \t\r\n")
	if start == "" {
		return nil, []Problem{emptyText()}
	}
	if start[0] != '{' && start[0] != '[' {
		return parseYAML(text)
	}
	tree, problem := parseJSON(text)
	if problem != nil {
		return nil, []Problem{*problem}
	}
	return tree, nil
}

// decode turns a checked document into a Config. Going through encoding/json keeps the meaning that Kubernetes gives to
// its own types.
func (n *node) decode() (*Config, error) {
	encoded, err := json.Marshal(n.plain())
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(encoded))
	decoder.DisallowUnknownFields()
	cfg := &Config{}
	if err := decoder.Decode(cfg); err != nil {
		return nil, err
	}
	return cfg, nil
}
