package document

import (
	"encoding/json"
	"errors"
	"io"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/node-agent/node-agent/pkg/config/problem"
)

// jsonReader makes nodes of the tokens of encoding/json, and remembers where it is for the case that they end too early.
type jsonReader struct {
	// scanner is behind the last token.
	*scanner
	tokens *json.Decoder
	// path leads to what is being read.
	path []string
	// open are the objects and lists that it is in.
	open []container
	// refused is wrong although encoding/json takes it.
	refused *problem.Problem
}

// container is an object or a list. An object with an odd number of nodes waits for the value of the last key.
type container struct {
	*yaml.Node
	// depth is the length of its path.
	depth int
}

// parseJSON reads one JSON document. Syntax errors that leave no doubt about what is meant are mended, so that what follows can be
// checked as well; after any other there is no node.
func parseJSON(text string) (*yaml.Node, []problem.Problem) {
	var slips []problem.Problem
	var inserted []int
	for {
		r := &jsonReader{scanner: newScanner(text), tokens: json.NewDecoder(strings.NewReader(text))}
		r.inserted = inserted
		r.tokens.UseNumber()
		root := &yaml.Node{}
		if r.value(root) && r.end() {
			return root, slips
		}
		wrong, mend := r.diagnose()
		slips = append(slips, *wrong)
		if mend == nil || len(slips) == problem.Max {
			return nil, slips
		}
		text, inserted = mend(text, inserted)
	}
}

// end tells whether the text ends here.
func (r *jsonReader) end() bool {
	_, err := r.tokens.Token()
	return errors.Is(err, io.EOF)
}

// token reads the next token and makes a node of it. It fails at the end of what is JSON.
func (r *jsonReader) token(n *yaml.Node) bool {
	token, err := r.tokens.Token()
	if err != nil {
		return false
	}
	r.skipAny(blanks + ",:")
	n.Line, n.Column = r.line, r.column
	start, end := *r.scanner, int(r.tokens.InputOffset())
	r.skipTo(end)
	raw := r.text[start.offset:end]
	switch token := token.(type) {
	case json.Delim:
		n.Kind = yaml.SequenceNode
		if token == '{' {
			n.Kind = yaml.MappingNode
		}
	case string:
		if strings.Contains(raw, `\u`) {
			r.refused = (&jsonReader{scanner: &start, path: r.path}).badString()
		}
		n.Kind, n.Style, n.Value = yaml.ScalarNode, yaml.DoubleQuotedStyle, token
	default:
		n.Kind, n.Value = yaml.ScalarNode, raw
		if r.word() != "" {
			// The tokens of 010 are 0 and 10.
			r.refused = (&jsonReader{scanner: &start, path: r.path}).badValue()
		}
	}
	return r.refused == nil
}

func (r *jsonReader) value(n *yaml.Node) bool {
	switch {
	case !r.token(n):
		return false
	case n.Kind == yaml.ScalarNode:
		return true
	case len(r.open) >= maxDepth:
		wrong := tooDeep(n, r.currentPath())
		r.refused = &wrong
		return false
	}
	r.open = append(r.open, container{n, len(r.path)})
	for r.tokens.More() {
		if n.Kind == yaml.MappingNode {
			key := &yaml.Node{}
			if !r.token(key) {
				return false
			}
			n.Content = append(n.Content, key)
			r.path = append(r.path, problem.Key("", key.Value))
		} else {
			r.path = append(r.path, problem.Index("", len(n.Content)))
		}
		value := &yaml.Node{}
		if !r.value(value) {
			return false
		}
		n.Content = append(n.Content, value)
		r.path = r.path[:len(r.path)-1]
	}
	if !r.token(&yaml.Node{}) {
		return false
	}
	r.open = r.open[:len(r.open)-1]
	return true
}
