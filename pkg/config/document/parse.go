// Package document reads a text that is JSON or YAML into nodes that know their line and column, and says in plain words
// why a text is neither. Both become nodes of the YAML library. It is not asked to read JSON, because it refuses some of it, such as
// the escape sequences of characters beyond U+FFFF.
package document

import (
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/node-agent/node-agent/pkg/config/problem"
)

// Parse reads a text of one document. A text whose first character is '{' or '[' is JSON, any other is YAML. There is no node if
// nobody can tell what is meant; else the problems are what the text has and should not have.
func Parse(raw []byte) (*yaml.Node, []problem.Problem) {
	documents, problems, complete := parse(raw)
	switch {
	case !complete:
		return nil, problems
	case len(documents) > 1:
		second := documents[1]
		return nil, []problem.Problem{{Line: second.Line, Column: second.Column, Found: "a second YAML document", Expected: "only one"}}
	case len(documents) == 0 || isBlank(documents[0].Content[0]):
		return nil, []problem.Problem{{
			Line: 1, Column: 1, Found: "nothing", Expected: "an object", Suggestion: "write {} for a configuration without settings",
		}}
	}
	return documents[0].Content[0], problems
}

// ParseAll is as Parse for a text of any number of documents. It ends where nobody can tell what is meant.
func ParseAll(raw []byte) ([]*yaml.Node, []problem.Problem) {
	documents, problems, _ := parse(raw)
	roots := make([]*yaml.Node, 0, len(documents))
	for _, document := range documents {
		roots = append(roots, document.Content[0])
	}
	return roots, problems
}

func parse(raw []byte) (documents []*yaml.Node, problems []problem.Problem, complete bool) {
	text, wrong := readText(raw)
	switch {
	case wrong != nil:
		return nil, []problem.Problem{*wrong}, false
	case strings.Trim(text, blanks) == "":
		return nil, nil, true
	case !looksLikeJSON(text):
		return parseYAML(text)
	}
	root, problems := parseJSON(text)
	if root == nil {
		return nil, problems, false
	}
	return []*yaml.Node{{Kind: yaml.DocumentNode, Content: []*yaml.Node{root}}}, problems, true
}

const blanks = " \t\r\n"

func looksLikeJSON(text string) bool {
	start := strings.TrimLeft(text, blanks)
	return start[0] == '{' || start[0] == '['
}
