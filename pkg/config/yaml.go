package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// parseYAML reads one YAML document. Scalars without quotes mean what the core schema of YAML 1.2 says; what other
// readers of YAML take for something else (yes, 010, aliases, tags) is refused where it matters instead of guessed.
// It returns the first syntax error and no node, or a node and all uses of what is not supported.
func parseYAML(text string) (*node, []Problem) {
	loader, err := yaml.NewLoader(bytes.NewReader([]byte(text)), yaml.WithV4Defaults())
	if err != nil {
		return nil, []Problem{{Line: 1, Column: 1, Message: "the YAML reader cannot start: " + err.Error()}}
	}
	var first, second yaml.Node
	switch err := loader.Load(&first); {
	case errors.Is(err, io.EOF):
		return nil, []Problem{emptyText()}
	case err != nil:
		return nil, []Problem{yamlProblem(text, err)}
	}
	switch err := loader.Load(&second); {
	case err == nil:
		return nil, []Problem{{Line: second.Line, Column: second.Column, Found: "a second YAML document", Expected: "only one"}}
	case !errors.Is(err, io.EOF):
		return nil, []Problem{yamlProblem(text, err)}
	}
	if isBlank(first.Content[0]) {
		return nil, []Problem{emptyText()}
	}
	convert := &yamlConverter{}
	root := convert.node(first.Content[0], "", 0)
	return root, convert.problems
}

func isBlank(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Value == "" && n.Style == 0
}

func emptyText() Problem {
	return Problem{
		Line: 1, Column: 1, Found: "nothing", Expected: "an object", Suggestion: "write {} for a configuration without settings",
	}
}

// yamlConverter turns the nodes of the YAML library into ours.
type yamlConverter struct{ problems []Problem }

func (c *yamlConverter) node(n *yaml.Node, path string, depth int) *node {
	out := &node{position: position{line: n.Line, column: n.Column}, kind: refusedKind}
	if n.Kind == yaml.AliasNode {
		c.refuse(n, path, "aliases are not supported", "*"+n.Value, "the value itself", "")
		return out
	}
	isTagged := n.Style&yaml.TaggedStyle != 0 || n.Tag == "!"
	if isTagged {
		c.refuse(n, path, "tags are not supported", "tag "+shorten(n.Tag), "a value without a tag", "")
	}
	if (n.Kind == yaml.MappingNode || n.Kind == yaml.SequenceNode) && depth >= maxDepth {
		c.problems = append(c.problems, *tooDeep(out.position, path))
		return out
	}
	switch n.Kind {
	case yaml.MappingNode:
		out.kind = objectKind
		for i := 0; i+1 < len(n.Content); i += 2 {
			out.members = append(out.members, c.member(n.Content[i], n.Content[i+1], path, depth))
		}
	case yaml.SequenceNode:
		out.kind = listKind
		for i, item := range n.Content {
			out.items = append(out.items, c.node(item, joinIndex(path, i), depth+1))
		}
	default:
		out.resolve(n)
	}
	if isTagged {
		out.kind = refusedKind
	}
	return out
}

func (c *yamlConverter) member(key, value *yaml.Node, path string, depth int) member {
	known := len(c.problems)
	c.checkKey(key, path, depth)
	return member{
		position: position{line: key.Line, column: key.Column},
		key:      key.Value,
		ignored:  len(c.problems) > known,
		value:    c.node(value, joinKey(path, key.Value), depth+1),
	}
}

func (c *yamlConverter) checkKey(key *yaml.Node, path string, depth int) {
	name := &node{}
	if key.Kind == yaml.ScalarNode {
		name.resolve(key)
	}
	switch {
	case key.Kind == yaml.AliasNode || key.Style&yaml.TaggedStyle != 0:
		c.node(key, path, depth+1)
	case key.Kind == yaml.ScalarNode && key.Value == "<<" && key.Style == 0:
		c.refuse(key, path, "merge keys are not supported", "<<", "the keys themselves", "")
	case key.Kind != yaml.ScalarNode || isBlank(key):
		c.refuse(key, path, "", "a key that is not a string", "a string", "")
	case name.kind != stringKind || name.legacy:
		c.refuse(key, path, "", fmt.Sprintf("key %s without quotes", shorten(key.Value)), "a string", didYouMean(quote(key.Value)))
	}
}

func (c *yamlConverter) refuse(n *yaml.Node, path, message, found, expected, suggestion string) {
	c.problems = append(c.problems, Problem{
		Line: n.Line, Column: n.Column, Path: path, Message: message, Found: found, Expected: expected, Suggestion: suggestion,
	})
}

// yamlNumber matches what the core schema of YAML 1.2 or any older reader takes for a number, so that no number passes
// as a string. Whether it is a good number is decided where one is expected.
var yamlNumber = regexp.MustCompile(`^([-+]?(0b[01_]+|0o[0-7]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?|` +
	`\.[0-9][0-9_]*([eE][-+]?[0-9]+)?|\.(inf|Inf|INF))|\.(nan|NaN|NAN))$`)

// resolve gives a scalar its type.
func (n *node) resolve(scalar *yaml.Node) {
	n.kind, n.text = stringKind, scalar.Value
	if scalar.Style != 0 {
		return
	}
	switch scalar.Value {
	case "", "~", "null", "Null", "NULL":
		n.kind = nullKind
	case "true", "True", "TRUE", "false", "False", "FALSE":
		n.kind = booleanKind
	default:
		if yamlNumber.MatchString(scalar.Value) {
			n.kind = numberKind
		}
		n.legacy = booleanWords[strings.ToLower(scalar.Value)] != ""
	}
}

// booleanWords are strings that people, and YAML 1.1, use for booleans.
var booleanWords = map[string]string{
	"yes": "true", "no": "false", "on": "true", "off": "false", "y": "true", "n": "false",
}

// yamlProblem turns an error of the YAML library into a problem in plain words.
func yamlProblem(text string, err error) Problem {
	var failure *yaml.LoadError
	if !errors.As(err, &failure) {
		return Problem{Line: 1, Column: 1, Message: "the YAML cannot be read: " + err.Error()}
	}
	at := failure.Mark
	// The library counts characters, not bytes.
	characters := []rune(text)
	rest := string(characters[min(max(at.Index, 0), len(characters)):])
	for _, known := range yamlMessages {
		if !strings.Contains(failure.Message, known.message) || !strings.HasPrefix(rest, known.next) ||
			!strings.Contains(failure.ContextMsg, known.context) {
			continue
		}
		if known.atContext {
			at = failure.ContextMark
		}
		place := inside(text, at)
		return Problem{Line: place.line, Column: place.column, Message: known.plain, Suggestion: known.suggestion}
	}
	place := inside(text, at)
	return Problem{Line: place.line, Column: place.column, Message: failure.Message}
}

// inside moves a mark to the end of the text if it is behind it: the library adds a line end where there is none.
func inside(text string, mark yaml.Mark) position {
	lines := strings.Split(text, "\n")
	if mark.Line > len(lines) {
		last := len(lines) - 1
		return position{line: len(lines), column: utf8.RuneCountInString(lines[last]) + 1}
	}
	return position{line: max(mark.Line, 1), column: max(mark.Column, 1)}
}

// yamlMessages puts the library's messages into words for people who do not know its grammar. The first match counts.
var yamlMessages = []struct {
	message, context, next string
	// atContext: the place to look at is where the construct begins, not where it turned out to be wrong.
	atContext         bool
	plain, suggestion string
}{
	{message: "cannot start any token", next: "\t", plain: "a tab in the indentation", suggestion: "use spaces"},
	{message: "cannot start any token", next: "@", plain: "a value cannot begin with '@'", suggestion: "put it in quotes"},
	{message: "cannot start any token", next: "`", plain: "a value cannot begin with '`'", suggestion: "put it in quotes"},
	{message: "cannot start any token", next: "%", plain: "a value cannot begin with '%'", suggestion: "put it in quotes"},
	{message: "mapping values are not allowed", plain: "a colon is not allowed here",
		suggestion: "put the value in quotes, or check the indentation"},
	{message: "could not find expected ':'", atContext: true, plain: "a key without a colon", suggestion: "add ':' and a value"},
	{message: "unexpected end of stream", context: "quoted", atContext: true, plain: "the string has no closing quote"},
	{message: "unexpected document indicator", atContext: true, plain: "the string has no closing quote"},
	{message: "expected ',' or ']'", plain: "a comma or the closing ']' of the list is missing"},
	{message: "expected ',' or '}'", plain: "a comma or the closing '}' of the object is missing"},
	{message: "expected key", next: "- ", plain: "a list element among the keys of an object",
		suggestion: "check the indentation"},
	{message: "expected key", plain: "something that is not a key of the object at this indentation",
		suggestion: "check the indentation and the quotes"},
	{message: "expected '-' indicator", plain: "something that is not an element of the list at this indentation",
		suggestion: "check the indentation"},
	{message: "expected node content", plain: "a value is missing or cannot begin with this character"},
	{message: "unknown anchor", plain: "aliases are not supported", suggestion: "write the value itself"},
	{message: "hexadecimal number", plain: "an unknown escape sequence in a string", suggestion: `use \\ for a backslash`},
	{message: "unknown escape", plain: "an unknown escape sequence in a string", suggestion: `use \\ for a backslash`},
	{message: "incompatible YAML", plain: "a %YAML directive for another version than 1.1", suggestion: "remove the line"},
	{message: "exceeded max depth", plain: "nested too deeply"},
	{message: "<document start>", plain: "the text goes on after the end of the document"},
}
