package config

import (
	"fmt"
	"strings"
)

// jsonParser reads RFC 8259 JSON into nodes. encoding/json would do, but it neither keeps the position of keys nor says
// in words what is wrong, and the most frequent mistake of all is a missing comma.
type jsonParser struct {
	*scanner
	// path leads to the value that is being read.
	path []string
	// slips are syntax errors that leave no doubt about what is meant, so that what follows can be checked as well.
	slips []Problem
}

// parseJSON reads one JSON document. The problems are the syntax errors up to the first after which nobody can tell what is
// meant; then there is no node.
func parseJSON(text string) (*node, []Problem) {
	p := &jsonParser{scanner: newScanner(text)}
	p.skipSpace()
	root, problem := p.value()
	if problem == nil {
		if p.skipSpace(); !p.done() {
			problem = p.fail(p.position, "the text goes on after the end of the document", p.upcoming(), "nothing")
		}
	}
	if problem != nil {
		return nil, append(p.slips, *problem)
	}
	return root, p.slips
}

func (p *jsonParser) value() (*node, *Problem) {
	switch char := p.peek(); {
	case char == '{' || char == '[':
		if len(p.path) >= maxDepth {
			return nil, tooDeep(p.position, p.currentPath())
		}
		if char == '{' {
			return p.object()
		}
		return p.list()
	case char == '"':
		at := p.position
		text, problem := p.quoted()
		return &node{position: at, kind: stringKind, text: text}, problem
	case char != 0 && strings.IndexByte("+-.0123456789", char) >= 0:
		return p.number()
	default:
		return p.literal()
	}
}

func (p *jsonParser) object() (*node, *Problem) {
	n := &node{position: p.position, kind: objectKind}
	p.next()
	for p.skipSpace(); p.peek() != '}'; {
		at := p.position
		key, problem := p.key(n)
		if problem != nil {
			return nil, problem
		}
		p.path = append(p.path, joinKey("", key))
		value, problem := p.afterColon(key)
		if problem != nil {
			return nil, problem
		}
		p.path = p.path[:len(p.path)-1]
		n.members = append(n.members, member{position: at, key: key, value: value})
		if problem := p.separator(n, '}'); problem != nil {
			return nil, problem
		}
	}
	p.next()
	return n, nil
}

func (p *jsonParser) list() (*node, *Problem) {
	n := &node{position: p.position, kind: listKind}
	p.next()
	for p.skipSpace(); p.peek() != ']'; {
		if p.done() {
			return nil, p.unclosed(n, ']')
		}
		p.path = append(p.path, joinIndex("", len(n.items)))
		item, problem := p.value()
		if problem != nil {
			return nil, problem
		}
		p.path = p.path[:len(p.path)-1]
		n.items = append(n.items, item)
		if problem := p.separator(n, ']'); problem != nil {
			return nil, problem
		}
	}
	p.next()
	return n, nil
}

func (p *jsonParser) key(parent *node) (string, *Problem) {
	switch {
	case p.done():
		return "", p.unclosed(parent, '}')
	case p.peek() == '"':
		return p.quoted()
	case p.peek() == ',':
		return "", p.fail(p.position, "a comma too many", "','", "a key in double quotes")
	default:
		problem := p.fail(p.position, "", p.upcoming(), "a key in double quotes")
		if name := strings.Trim(p.word(), foreignQuotes); simpleKey.MatchString(name) {
			problem.Suggestion = didYouMean(quote(name))
		}
		return "", problem
	}
}

func (p *jsonParser) afterColon(key string) (*node, *Problem) {
	end := p.position
	p.skipSpace()
	if p.peek() != ':' {
		return nil, p.fail(end, "a colon is missing after the key", p.upcoming(), "':'")
	}
	p.next()
	p.skipSpace()
	if char := p.peek(); p.done() || strings.IndexByte(",}]", char) >= 0 {
		return nil, p.fail(p.position, fmt.Sprintf("the value of %s is missing", quote(key)), p.upcoming(), "a value")
	}
	return p.value()
}

// separator reads what follows an element of n: a comma and the next element, or the closing bracket, which it leaves.
func (p *jsonParser) separator(n *node, closing byte) *Problem {
	end := p.position
	p.skipSpace()
	switch char := p.peek(); {
	case char == closing:
		return nil
	case char == ',':
		comma := p.position
		p.next()
		p.skipSpace()
		if p.peek() == closing {
			p.slip(p.fail(comma, fmt.Sprintf("a comma before %q is not allowed in JSON", closing), "','", fmt.Sprintf("%q", closing)))
		}
		return nil
	case p.done():
		return p.unclosed(n, closing)
	case char == '}' || char == ']':
		return p.fail(p.position, fmt.Sprintf("the wrong bracket for %s", opened(n)), p.upcoming(), fmt.Sprintf("%q", closing))
	case strings.IndexByte("#/:=;", char) >= 0:
		return p.fail(p.position, "", p.upcoming(), fmt.Sprintf("',' or %q", closing))
	default:
		// The comma belongs right after the element, which is where the author has to type it.
		found := fmt.Sprintf("%s on line %d", p.upcoming(), p.line)
		problem := p.fail(end, "a comma is missing", found, fmt.Sprintf("',' or %q", closing))
		if char != '"' && (closing == '}' || char != '{') {
			return problem
		}
		p.slip(problem)
		return nil
	}
}

func (p *jsonParser) slip(problem *Problem) { p.slips = append(p.slips, *problem) }

func (p *jsonParser) unclosed(n *node, closing byte) *Problem {
	return p.fail(p.position, opened(n)+" is not closed", "the end of the text", fmt.Sprintf("%q", closing))
}

func opened(n *node) string {
	what := "the object"
	if n.kind == listKind {
		what = "the list"
	}
	return fmt.Sprintf("%s that begins at %d:%d", what, n.line, n.column)
}

func (p *jsonParser) skipSpace() {
	for !p.done() && strings.IndexByte(" \t\r\n", p.peek()) >= 0 {
		p.next()
	}
}

func (p *jsonParser) currentPath() string {
	path := ""
	for _, segment := range p.path {
		if path != "" && segment[0] != '[' {
			path += "."
		}
		path += segment
	}
	return path
}

func (p *jsonParser) fail(at position, message, found, expected string) *Problem {
	problem := &Problem{
		Line: at.line, Column: at.column, Path: p.currentPath(), Message: message, Found: found, Expected: expected,
	}
	if strings.HasPrefix(p.rest(), "//") || strings.HasPrefix(p.rest(), "/*") || strings.HasPrefix(p.rest(), "#") {
		problem.Message, problem.Line, problem.Column = "JSON has no comments", p.line, p.column
		problem.Suggestion = "remove the comment, or write YAML"
	}
	return problem
}

func tooDeep(at position, path string) *Problem {
	return &Problem{
		Line: at.line, Column: at.column, Path: path, Message: "nested too deeply",
		Found: fmt.Sprintf("level %d", maxDepth+1), Expected: fmt.Sprintf("at most %d levels", maxDepth),
	}
}
