package document

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/node-agent/node-agent/pkg/config/problem"
)

// mend puts right a syntax error that leaves no doubt about what is meant. It returns the text, and the offsets of all that is
// inserted into it.
type mend func(text string, inserted []int) (string, []int)

// diagnose says in words what is wrong behind the last token, and how to mend it if there is no doubt. encoding/json neither
// knows the place nor speaks to people, and the most frequent mistake of all is a missing comma.
func (r *jsonReader) diagnose() (*problem.Problem, mend) {
	if r.refused != nil {
		return r.refused, nil
	}
	end := *r.scanner
	r.skipAny(blanks)
	if len(r.open) == 0 {
		return r.outside(), nil
	}
	in := r.open[len(r.open)-1]
	isObject := in.Kind == yaml.MappingNode
	if isObject && len(in.Content)%2 == 1 {
		return r.afterKey(end.position, in.Content[len(in.Content)-1].Value), nil
	}
	r.path = r.path[:in.depth]
	if len(in.Content) > 0 {
		if wrong, mend := r.separator(in, end); wrong != nil {
			return wrong, mend
		}
	}
	switch {
	case r.done():
		return r.unclosed(in), nil
	case isObject:
		return r.badKey(), nil
	}
	r.path = append(r.path, problem.Index("", len(in.Content)))
	return r.badValue(), nil
}

// outside is about what is before or after the document.
func (r *jsonReader) outside() *problem.Problem {
	if r.offset > 0 && strings.Trim(r.text[:r.offset], blanks) != "" {
		return r.fail(r.position, "the text goes on after the end of the document", r.upcoming(), "nothing")
	}
	return r.badValue()
}

func (r *jsonReader) badKey() *problem.Problem {
	switch r.peek() {
	case '"':
		return r.badString()
	case ',':
		return r.fail(r.position, "a comma too many", "','", "a key in double quotes")
	}
	wrong := r.fail(r.position, "", r.upcoming(), "a key in double quotes")
	if name := strings.Trim(r.word(), foreignQuotes); problem.SimpleKey.MatchString(name) {
		wrong.Suggestion = problem.DidYouMean(problem.Quote(name))
	}
	return wrong
}

func (r *jsonReader) afterKey(end position, key string) *problem.Problem {
	if r.peek() != ':' {
		return r.fail(end, "a colon is missing after the key", r.upcoming(), "':'")
	}
	r.next()
	r.skipAny(blanks)
	if char := r.peek(); r.done() || strings.IndexByte(",}]", char) >= 0 {
		return r.fail(r.position, fmt.Sprintf("the value of %s is missing", problem.Quote(key)), r.upcoming(), "a value")
	}
	return r.badValue()
}

func (r *jsonReader) badValue() *problem.Problem {
	switch char := r.peek(); {
	case char == '"':
		return r.badString()
	case char != 0 && strings.IndexByte("+-.0123456789", char) >= 0:
		return r.badNumber()
	default:
		return r.badLiteral()
	}
}

// separator is about what follows an element: a comma and the next element, or the closing bracket. It is nil if there is a comma
// as there should be, and steps over that.
func (r *jsonReader) separator(in container, end scanner) (*problem.Problem, mend) {
	closing := closingOf(in)
	switch char := r.peek(); {
	case char == ',':
		comma := *r.scanner
		r.next()
		r.skipAny(blanks)
		if r.peek() != closing {
			return nil, nil
		}
		message := fmt.Sprintf("a comma before %q is not allowed in JSON", closing)
		return r.fail(comma.position, message, "','", fmt.Sprintf("%q", closing)), blankOut(comma.offset)
	case r.done():
		return r.unclosed(in), nil
	case char == '}' || char == ']':
		return r.fail(r.position, fmt.Sprintf("the wrong bracket for %s", opened(in)), r.upcoming(), fmt.Sprintf("%q", closing)), nil
	case strings.IndexByte("#/:=;", char) >= 0:
		return r.fail(r.position, "", r.upcoming(), fmt.Sprintf("',' or %q", closing)), nil
	default:
		// The comma belongs right after the element, which is where the author has to type it.
		found := fmt.Sprintf("%s on line %d", r.upcoming(), r.line)
		wrong := r.fail(end.position, "a comma is missing", found, fmt.Sprintf("',' or %q", closing))
		if char != '"' && (closing == '}' || char != '{') {
			return wrong, nil
		}
		return wrong, insertComma(end.offset)
	}
}

func blankOut(offset int) mend {
	return func(text string, inserted []int) (string, []int) {
		return text[:offset] + " " + text[offset+1:], inserted
	}
}

func insertComma(offset int) mend {
	return func(text string, inserted []int) (string, []int) {
		return text[:offset] + "," + text[offset:], append(slices.Clip(inserted), offset)
	}
}

func (r *jsonReader) unclosed(in container) *problem.Problem {
	return r.fail(r.position, opened(in)+" is not closed", "the end of the text", fmt.Sprintf("%q", closingOf(in)))
}

func closingOf(in container) byte {
	if in.Kind == yaml.MappingNode {
		return '}'
	}
	return ']'
}

func opened(in container) string {
	what := "the object"
	if in.Kind == yaml.SequenceNode {
		what = "the list"
	}
	return fmt.Sprintf("%s that begins at %d:%d", what, in.Line, in.Column)
}

func (r *jsonReader) currentPath() string {
	path := ""
	for _, segment := range r.path {
		if path != "" && segment[0] != '[' {
			path += "."
		}
		path += segment
	}
	return path
}

func (r *jsonReader) fail(at position, message, found, expected string) *problem.Problem {
	wrong := &problem.Problem{
		Line: at.line, Column: at.column, Path: r.currentPath(), Message: message, Found: found, Expected: expected,
	}
	if strings.HasPrefix(r.rest(), "//") || strings.HasPrefix(r.rest(), "/*") || strings.HasPrefix(r.rest(), "#") {
		wrong.Message, wrong.Line, wrong.Column = "JSON has no comments", r.line, r.column
		wrong.Suggestion = "remove the comment, or write YAML"
	}
	return wrong
}
