package schema

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v4"

	"github.com/node-agent/node-agent/pkg/config/document"
	"github.com/node-agent/node-agent/pkg/config/problem"
)

// unknownKey tells what is wrong with a key that an object does not have, and which one is meant if there is only one.
func unknownKey(m member, path string, s *schema) (wrong problem.Problem, meant *field) {
	wrong = problem.Problem{Path: path, Message: "unknown key" + foreign(m.key.Value), Expected: problem.Alternatives(s.names())}
	near := problem.Nearest(m.key.Value, s.names())
	isCertain := near != "" && singular(near) == singular(m.key.Value)
	if places, f := placesOf(m.key.Value); len(places) > 0 && !isCertain {
		return problem.Problem{Path: path, Message: "misplaced key", Suggestion: "move it to " + problem.Alternatives(places)}, f
	}
	if near != "" {
		wrong.Suggestion = problem.DidYouMean(problem.Quote(near))
		return wrong, s.field(near)
	}
	if s.stray != "" && document.KindOf(m.value) == document.String {
		wrong.Suggestion = "move it to " + s.stray
	} else if elsewhere := problem.Nearest(m.key.Value, allNames()); elsewhere != "" {
		places, _ := placesOf(elsewhere)
		wrong.Suggestion = problem.DidYouMean(problem.Alternatives(places))
	}
	return wrong, nil
}

func singular(key string) string {
	return strings.TrimSuffix(problem.Normalize(key), "s")
}

// foreign names the first character that no key has: some are invisible, others look like one that a key has.
func foreign(key string) string {
	for _, char := range key {
		if char > unicode.MaxASCII {
			return fmt.Sprintf(" with the character U+%04X", char)
		}
	}
	return ""
}

// placesOf returns the paths of all keys of a name, in the order of the schema, and the key if there is only one.
func placesOf(name string) (places []string, only *field) {
	root.walk("", func(path string, f field) {
		if f.name == name {
			places, only = append(places, path), &f
		}
	})
	if len(places) > 1 {
		only = nil
	}
	return places, only
}

func allNames() []string {
	var names []string
	root.walk("", func(_ string, f field) { names = append(names, f.name) })
	slices.Sort(names)
	return slices.Compact(names)
}

// walk visits every known key below a schema.
func (s *schema) walk(path string, visit func(path string, f field)) {
	for _, f := range s.fields {
		at := problem.Key(path, f.name)
		visit(at, f)
		f.value.walk(at, visit)
	}
	switch {
	case s.each == nil:
	case s.kind == document.List:
		s.each.walk(path+"[]", visit)
	default:
		s.each.walk(path+"."+s.keyName, visit)
	}
}

// checkManifest recognises a whole Kubernetes manifest in the place of the configuration.
func (c *checker) checkManifest(n *yaml.Node) bool {
	kind := document.Get(n, "kind")
	if document.Get(n, "apiVersion") == nil || kind == nil {
		return false
	}
	c.problem(n, problem.Problem{
		Found: "a Kubernetes manifest of kind " + problem.Shorten(kind.Value), Expected: "the configuration alone",
		Suggestion: "give only what stands below the key in data",
	})
	return true
}
