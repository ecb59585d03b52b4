package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// Decoder reads configurations. The zero value is as strict as it should be.
type Decoder struct {
	// UnknownKeys says what becomes of keys that do not exist. Empty: they are errors.
	UnknownKeys UnknownKeys
}

// Decode reads a configuration, checks it and fills in defaults. A text whose first character is '{' or '[' is JSON, any
// other is YAML. The source names the text in messages.
//
// An error is an *Error that holds all problems; after a syntax error that leaves in doubt what is meant, none that follow.
func Decode(source string, text []byte) (*Config, error) {
	return Decoder{}.Decode(source, text)
}

// Decode is as the function Decode, but for what the Decoder says.
func (d Decoder) Decode(source string, text []byte) (*Config, error) {
	document := d.Check(source, text)
	return document.Config, document.Err()
}

// Check reads a configuration as Decode does and keeps what is known about it.
func (d Decoder) Check(source string, text []byte) *Document {
	document := &Document{Source: source, IsJSON: json.Valid(text)}
	tree, problems := parse(text)
	if tree == nil {
		document.Problems = problems
		return document
	}
	check := &checker{tolerant: d.UnknownKeys == WarnOfUnknownKeys, problems: problems}
	// A document that is null has no settings, as in Velero.
	if tree.kind == nullKind {
		tree.kind = objectKind
	}
	if !check.checkManifest(tree) {
		check.check(tree, root, "")
	}
	document.tree, document.Problems, document.Warnings = tree, check.problems, check.warnings
	if len(check.problems) > 0 {
		return document
	}
	cfg, err := tree.decode()
	if err != nil {
		document.Problems = []Problem{{
			Line: tree.line, Column: tree.column, Message: fmt.Sprintf("the configuration cannot be decoded: %v", err),
		}}
		return document
	}
	cfg.setDefaults()
	cfg.warnings = lines(source, check.warnings)
	cfg.unknownKeys = lines(source, check.unknownKeys)
	document.Config = cfg
	return document
}

func parse(raw []byte) (*node, []Problem) {
	text, problem := readText(raw)
	if problem != nil {
		return nil, []Problem{*problem}
	}
	if isBlankText(text) {
		return nil, []Problem{emptyText()}
	}
	if !looksLikeJSON(text) {
		return parseYAML(text)
	}
	return parseJSON(text)
}

const blanks = " \t\r\n"

func isBlankText(text string) bool {
	return strings.Trim(text, blanks) == ""
}

func looksLikeJSON(text string) bool {
	start := strings.TrimLeft(text, blanks)
	return start[0] == '{' || start[0] == '['
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
