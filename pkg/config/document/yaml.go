package document

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"github.com/node-agent/node-agent/pkg/config/problem"
)

// parseYAML reads YAML documents up to the first syntax error. Their nodes are those of whole documents.
func parseYAML(text string) (documents []*yaml.Node, problems []problem.Problem, complete bool) {
	loader, err := yaml.NewLoader(bytes.NewReader([]byte(text)), yaml.WithV4Defaults())
	if err != nil {
		return nil, []problem.Problem{{Line: 1, Column: 1, Message: "the YAML reader cannot start: " + err.Error()}}, false
	}
	var refused refuse
	for {
		var document yaml.Node
		if err := loader.Load(&document); errors.Is(err, io.EOF) {
			return documents, refused.problems, true
		} else if err != nil {
			return documents, []problem.Problem{yamlProblem(text, err)}, false
		}
		refused.node(document.Content[0], "", 0)
		documents = append(documents, &document)
	}
}

func isBlank(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Value == "" && n.Style == 0
}

// yamlProblem turns an error of the YAML library into a problem in plain words.
func yamlProblem(text string, err error) problem.Problem {
	var failure *yaml.LoadError
	if !errors.As(err, &failure) {
		return problem.Problem{Line: 1, Column: 1, Message: "the YAML cannot be read: " + err.Error()}
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
		return problem.Problem{Line: place.line, Column: place.column, Message: known.plain, Suggestion: known.suggestion}
	}
	place := inside(text, at)
	return problem.Problem{Line: place.line, Column: place.column, Message: failure.Message}
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
