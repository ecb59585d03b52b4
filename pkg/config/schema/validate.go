package schema

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/node-agent/node-agent/pkg/config/document"
	"github.com/node-agent/node-agent/pkg/config/problem"
)

// checker holds a document against the schema and collects all that is wrong or doubtful.
type checker struct {
	// tolerant lets unknown keys pass with a warning.
	tolerant bool

	problems []problem.Problem
	warnings []problem.Problem
	// unknownKeys are those of the warnings that are about a key.
	unknownKeys []problem.Problem
}

func (c *checker) problem(at *yaml.Node, p problem.Problem) {
	p.Line, p.Column = at.Line, at.Column
	c.problems = append(c.problems, p)
}

func (c *checker) warn(at *yaml.Node, path, message string) {
	c.warnings = append(c.warnings, problem.Problem{Line: at.Line, Column: at.Column, Path: path, Message: message})
}

func (c *checker) check(n *yaml.Node, s *schema, path string) {
	if document.KindOf(n) == document.Refused {
		return
	}
	if document.KindOf(n) != s.kind {
		c.problem(n, problem.Problem{
			Path: path, Found: document.Describe(n), Expected: s.what, Suggestion: retype(n, s),
		})
		return
	}
	switch s.kind {
	case document.Object:
		c.checkObject(n, s, path)
	case document.List:
		for i, item := range n.Content {
			c.check(item, s.each, problem.Index(path, i))
		}
	case document.String:
		c.checkText(n, s.rule, path)
	case document.Number:
		c.checkNumber(n, s, path)
	default:
	}
	if s.cross != nil {
		s.cross(c, n, path)
	}
}

// member is one key of an object with its value, and the path to it.
type member struct {
	key, value *yaml.Node
	path       string
}

func (c *checker) checkObject(n *yaml.Node, s *schema, path string) {
	seen := map[string]*yaml.Node{}
	var misspelled []string
	refused := false
	for key, value := range document.Members(n) {
		m := member{key, value, problem.Key(path, key.Value)}
		if document.KindOf(key) == document.Refused {
			refused = true
			if s.each != nil {
				c.checkFreeValue(m, s)
			}
			continue
		}
		if first, found := seen[key.Value]; found {
			c.problem(key, problem.Problem{
				Path: m.path, Message: fmt.Sprintf("duplicate key, the first one is at %d:%d", first.Line, first.Column),
			})
		} else {
			seen[key.Value] = key
		}
		switch f := s.field(key.Value); {
		case s.each != nil:
			c.checkFree(m, s, path)
		case f != nil && f.name == key.Value:
			c.checkKnown(m, f)
		case f != nil && c.tolerant:
			c.checkFolded(n, m, f)
		default:
			if meant := c.checkUnknown(n, m, s); meant != nil {
				misspelled = append(misspelled, meant.name)
			}
		}
	}
	if !refused {
		c.checkRequired(n, s, path, misspelled)
	}
}

func (c *checker) checkRequired(n *yaml.Node, s *schema, path string, misspelled []string) {
	for _, f := range s.fields {
		if f.required && document.Get(n, f.name) == nil && !slices.Contains(misspelled, f.name) {
			c.problem(n, problem.Problem{Path: path, Message: fmt.Sprintf("key %q is missing", f.name), Expected: f.value.what})
		}
	}
}

func (c *checker) checkKnown(m member, f *field) {
	// Null stands for an absent key, as encoding/json and thus Velero have it.
	if document.KindOf(m.value) == document.Null {
		return
	}
	if f.inert {
		c.warn(m.key, m.path, "checked, but without effect")
	}
	c.check(m.value, f.value, m.path)
}

// checkFree checks one key of a map.
func (c *checker) checkFree(m member, s *schema, path string) {
	name := m.key.Value
	if f := s.each.field(name); f != nil && (!s.keyRule.valid(name) || document.KindOf(m.value) != document.Object) {
		c.problem(m.key, problem.Problem{
			Path: m.path, Message: "misplaced key", Found: name, Expected: s.keyRule.expected,
			Suggestion: fmt.Sprintf("move it to %s.%s.%s", path, s.keyName, f.name),
		})
		return
	}
	c.checkText(m.key, s.keyRule, m.path)
	c.checkFreeValue(m, s)
}

func (c *checker) checkFreeValue(m member, s *schema) {
	// An entry that is null has no settings; a label or annotation that is null has no value.
	if document.KindOf(m.value) != document.Null || s.each.kind != document.Object {
		c.check(m.value, s.each, m.path)
	}
}

// checkText checks the content of a string or key.
func (c *checker) checkText(n *yaml.Node, r *rule, path string) {
	if r.valid(n.Value) {
		if doubt := told(r.doubt, n.Value); doubt != "" {
			c.warn(n, path, doubt)
		}
		return
	}
	wrong := problem.Problem{Path: path, Found: problem.Quote(n.Value), Expected: r.expected}
	if near := told(r.near, n.Value); near != "" {
		wrong.Suggestion = problem.DidYouMean(problem.Quote(near))
	}
	c.problem(n, wrong)
}

// told is what a function that may be nil says about a text.
func told(by func(string) string, text string) string {
	if by == nil {
		return ""
	}
	return by(text)
}

func (c *checker) checkNumber(n *yaml.Node, s *schema, path string) {
	wrong := problem.Problem{Path: path, Found: problem.Shorten(n.Value), Expected: s.what}
	var value float64
	// JSON has no 010, which may be ten or eight.
	switch err := json.Unmarshal([]byte(n.Value), &value); {
	case err != nil || value < s.minimum || value != math.Trunc(value):
	case value > math.MaxInt32:
		wrong.Expected = fmt.Sprintf("%s and at most %d", s.what, math.MaxInt32)
	case strings.ContainsAny(n.Value, ".eE"):
		wrong.Suggestion = problem.DidYouMean(strconv.FormatFloat(value, 'f', -1, 64))
	default:
		return
	}
	c.problem(n, wrong)
}

// retype suggests how a value of the wrong type may be meant.
func retype(n *yaml.Node, s *schema) string {
	kind := document.KindOf(n)
	switch s.kind {
	case document.String:
		if isScalar := kind == document.Word || kind == document.Number || kind == document.Boolean; isScalar && s.rule.valid(n.Value) {
			return problem.DidYouMean(problem.Quote(n.Value))
		}
	case document.Boolean:
		return booleanSuggestion(n)
	case document.Number:
		if _, err := strconv.ParseUint(n.Value, 10, 31); err == nil && kind == document.String && json.Valid([]byte(n.Value)) {
			return problem.DidYouMean(n.Value + " without quotes")
		}
	case document.List:
		return listSuggestion(n, s)
	case document.Object:
		return objectSuggestion(n)
	default:
	}
	return ""
}

func listSuggestion(n *yaml.Node, s *schema) string {
	switch {
	case document.KindOf(n) == document.String && s.each.kind == document.String:
		return problem.DidYouMean("[" + problem.Quote(n.Value) + "]")
	case document.KindOf(n) == document.Object && s.each.kind == document.Object:
		return "put the object into a list: [{...}]"
	default:
		return ""
	}
}

func objectSuggestion(n *yaml.Node) string {
	if strings.Contains(n.Value, "\n") {
		return "write the settings themselves, without '|' or quotes"
	}
	if key, value, found := strings.Cut(n.Value, ":"); found && value != "" && problem.SimpleKey.MatchString(key) {
		return problem.DidYouMean(key + ": " + problem.Shorten(value))
	}
	if document.KindOf(n) == document.List && len(n.Content) == 1 && document.KindOf(n.Content[0]) == document.Object {
		return "remove the list around the object"
	}
	return ""
}

func booleanSuggestion(n *yaml.Node) string {
	kind, text := document.KindOf(n), strings.ToLower(n.Value)
	switch word := document.BooleanWord(text); {
	case word != "":
		return problem.DidYouMean(word)
	case kind == document.String && (text == "true" || text == "false"):
		return problem.DidYouMean(text + " without quotes")
	case kind == document.Number && (text == "0" || text == "1"):
		return problem.DidYouMean(strconv.FormatBool(text == "1"))
	default:
		return ""
	}
}
