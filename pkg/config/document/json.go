package document

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/node-agent/node-agent/pkg/config/problem"
)

// parser makes nodes of JSON. It tells of everything that JSON does not have, and goes on where that leaves no doubt about what is
// meant, so that what follows is checked as well; the most frequent mistake of all is a missing comma. encoding/json neither knows
// the place of a mistake nor speaks to people.
type parser struct {
	*scanner
	problems []problem.Problem
}

// parseJSON reads one JSON document. There is no node if it is in doubt what is meant.
func parseJSON(text string) (*yaml.Node, []problem.Problem) {
	p := &parser{scanner: newScanner(text)}
	p.space("")
	root := &yaml.Node{}
	if !p.value(root, "", 0) {
		return nil, p.problems
	}
	if p.space(""); !p.done() {
		p.fail(p.position, "", "the text goes on after the end of the document", p.upcoming(), "nothing")
		return nil, p.problems
	}
	return root, p.problems
}

var comment = regexp.MustCompile(`^((//|#).*|(?s:/\*.*?\*/))`)

// space steps over what is between two tokens.
func (p *parser) space(path string) {
	for p.skipAny(blanks); len(p.problems) < problem.Max; p.skipAny(blanks) {
		found := comment.FindString(p.rest())
		if found == "" {
			return
		}
		p.fail(p.position, path, "JSON has no comments", "", "").Suggestion = "remove the comment, or write YAML"
		p.skipTo(p.offset + len(found))
	}
}

func (p *parser) fail(at position, path, message, found, expected string) *problem.Problem {
	p.problems = append(p.problems, problem.Problem{
		Line: at.line, Column: at.column, Path: path, Message: message, Found: found, Expected: expected,
	})
	return &p.problems[len(p.problems)-1]
}

// value reads a value. As all that follow, it is false where it is in doubt what is meant.
func (p *parser) value(n *yaml.Node, path string, depth int) bool {
	n.Kind, n.Line, n.Column = yaml.ScalarNode, p.line, p.column
	switch word := p.word(); {
	case p.peek() == '{' || p.peek() == '[':
		return p.container(n, path, depth)
	case p.peek() == '"':
		return p.string(n, path)
	case literal.MatchString(word):
		n.Value, n.Tag = word, cmp.Or(literalTags[word], "!!float")
		p.skipTo(p.offset + len(word))
		return true
	default:
		p.badValue(path)
		return false
	}
}

// container reads an object or a list.
func (p *parser) container(n *yaml.Node, path string, depth int) bool {
	what, closing := "list", byte(']')
	n.Kind = yaml.SequenceNode
	if p.peek() == '{' {
		what, closing = "object", '}'
		n.Kind = yaml.MappingNode
	}
	what = fmt.Sprintf("the %s that begins at %d:%d", what, n.Line, n.Column)
	if depth >= maxDepth {
		p.problems = append(p.problems, tooDeep(n, path))
		return false
	}
	p.next()
	for end := p.position; ; end = p.position {
		p.space(path)
		if len(n.Content) > 0 && !p.comma(path, what, end, closing) {
			return false
		}
		switch p.peek() {
		case closing:
			p.next()
			return true
		case 0:
			p.fail(p.position, path, what+" is not closed", "the end of the text", fmt.Sprintf("%q", closing))
			return false
		}
		if !p.element(n, path, depth) {
			return false
		}
	}
}

// element reads an element of a list, or a key and its value.
func (p *parser) element(n *yaml.Node, path string, depth int) bool {
	at := problem.Index(path, len(n.Content))
	if n.Kind == yaml.MappingNode {
		key := &yaml.Node{}
		if !p.key(key, path) {
			return false
		}
		n.Content = append(n.Content, key)
		at = problem.Key(path, key.Value)
	}
	value := &yaml.Node{}
	n.Content = append(n.Content, value)
	return p.value(value, at, depth+1)
}

// comma reads what is between two elements, the first of which ends at a position.
func (p *parser) comma(path, what string, end position, closing byte) bool {
	expected := fmt.Sprintf("',' or %q", closing)
	switch char := p.peek(); {
	case char == closing || p.done():
	case char == ',':
		comma := p.position
		p.next()
		if p.space(path); p.peek() == closing {
			p.fail(comma, path, fmt.Sprintf("a comma before %q is not allowed in JSON", closing), "','", fmt.Sprintf("%q", closing))
		}
	case char == '}' || char == ']':
		p.fail(p.position, path, "the wrong bracket for "+what, p.upcoming(), fmt.Sprintf("%q", closing))
		return false
	case strings.IndexByte(":=;/", char) >= 0:
		p.fail(p.position, path, "", p.upcoming(), expected)
		return false
	default:
		// The comma belongs right after the element, which is where the author has to type it.
		p.fail(end, path, "a comma is missing", fmt.Sprintf("%s on line %d", p.upcoming(), p.line), expected)
		return char == '"' || closing == ']' && char == '{'
	}
	return len(p.problems) < problem.Max
}

// key reads a key and its colon.
func (p *parser) key(n *yaml.Node, path string) bool {
	const expected = "a key in double quotes"
	switch p.peek() {
	case '"':
	case ',':
		p.fail(p.position, path, "a comma too many", "','", expected)
		return false
	default:
		wrong := p.fail(p.position, path, "", p.upcoming(), expected)
		if name := strings.Trim(p.word(), foreignQuotes); problem.SimpleKey.MatchString(name) {
			wrong.Suggestion = problem.DidYouMean(problem.Quote(name))
		}
		return false
	}
	n.Kind, n.Line, n.Column = yaml.ScalarNode, p.line, p.column
	if !p.string(n, path) {
		return false
	}
	end, at := p.position, problem.Key(path, n.Value)
	if p.space(at); p.peek() != ':' {
		p.fail(end, at, "a colon is missing after the key", p.upcoming(), "':'")
		return false
	}
	p.next()
	if p.space(at); p.done() || strings.IndexByte(",}]", p.peek()) >= 0 {
		p.fail(p.position, at, fmt.Sprintf("the value of %s is missing", problem.Quote(n.Value)), p.upcoming(), "a value")
		return false
	}
	return true
}
