package schema

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v4"

	"github.com/node-agent/node-agent/pkg/config/document"
	"github.com/node-agent/node-agent/pkg/config/problem"
)

// sectionName is how Velero names its sections.
var sectionName = regexp.MustCompile(`^[a-z][A-Za-z0-9]{0,62}$`)

// checkUnknown deals with a key that an object does not have. If it is an error, the field that is meant is returned if that is known.
func (c *checker) checkUnknown(n *yaml.Node, m member, s *schema) (meant *field) {
	wrong, meant := s.unknown(m)
	// What is not near to anything may be a section of a Velero that is newer.
	isForeign := s == root && wrong.Suggestion == "" && sectionName.MatchString(m.key.Value)
	if c.tolerant || isForeign {
		wrong.Message += ", ignored"
		c.warnOfKey(m, wrong)
		*m.value = yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null"}
		return nil
	}
	c.problem(m.key, wrong)
	// What is wrong with its value is told at once. Where the field is a guess, a value of another type makes it a bad one.
	if meant != nil && (meant.name == m.key.Value || document.Get(n, meant.name) == nil) {
		isCertain := strings.EqualFold(meant.name, m.key.Value)
		if kind := document.KindOf(m.value); kind == meant.value.kind || isCertain && kind != document.Null {
			c.check(m.value, meant.value, m.path)
		}
	}
	return meant
}

// unknown tells what is wrong with a key that an object does not have, and which one is meant if there is only one.
func (s *schema) unknown(m member) (wrong problem.Problem, meant *field) {
	name := m.key.Value
	wrong = problem.Problem{Path: m.path, Message: "unknown key" + foreign(name), Expected: problem.Alternatives(s.names())}
	near := problem.Nearest(name, s.names())
	isCertain := near != "" && singular(near) == singular(name)
	if at, found := places[name]; found && !isCertain {
		suggestion := "move it to " + problem.Alternatives(at.paths)
		return problem.Problem{Path: m.path, Message: "misplaced key", Suggestion: suggestion}, at.field
	}
	switch elsewhere := problem.Nearest(name, allNames); {
	case near != "":
		wrong.Suggestion, meant = problem.DidYouMean(problem.Quote(near)), s.field(near)
	case s.stray != "" && document.KindOf(m.value) == document.String:
		wrong.Suggestion = "move it to " + s.stray
	case elsewhere != "":
		wrong.Suggestion = problem.DidYouMean(problem.Alternatives(places[elsewhere].paths))
	}
	return wrong, meant
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

// place is where the schema has keys of one name. The field is nil if there are several.
type place struct {
	paths []string
	field *field
}

var (
	places   = allPlaces()
	allNames = slices.Sorted(maps.Keys(places))
)

func allPlaces() map[string]place {
	all := map[string]place{}
	root.walk("", func(path string, f *field) {
		at := place{append(all[f.name].paths, path), f}
		if len(at.paths) > 1 {
			at.field = nil
		}
		all[f.name] = at
	})
	return all
}

// walk visits every known key below a schema.
func (s *schema) walk(path string, visit func(path string, f *field)) {
	for i := range s.fields {
		f := &s.fields[i]
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
