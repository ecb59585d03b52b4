package config

import (
	"fmt"
	"slices"
	"unicode"
)

// unknownKey tells what is wrong with a key that an object does not have, and which one is meant if there is only one.
func unknownKey(m *member, path string, s *schema) (problem Problem, meant *field) {
	problem = Problem{Path: path, Message: "unknown key" + foreign(m.key), Expected: alternatives(s.names())}
	near := nearest(m.key, s.names())
	isCertain := near != "" && normalize(near) == normalize(m.key)
	if places, f := placesOf(m.key); len(places) > 0 && !isCertain {
		return Problem{Path: path, Message: "misplaced key", Suggestion: "move it to " + alternatives(places)}, f
	}
	if near != "" {
		problem.Suggestion = didYouMean(quote(near))
		return problem, s.field(near)
	}
	if s.stray != "" && m.value.kind == stringKind {
		problem.Suggestion = "move it to " + s.stray
	} else if elsewhere := nearest(m.key, allNames()); elsewhere != "" {
		places, _ := placesOf(elsewhere)
		problem.Suggestion = didYouMean(alternatives(places))
	}
	return problem, nil
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
		at := joinKey(path, f.name)
		visit(at, f)
		f.value.walk(at, visit)
	}
	switch {
	case s.each == nil:
	case s.kind == listKind:
		s.each.walk(path+"[]", visit)
	default:
		s.each.walk(path+"."+s.keyName, visit)
	}
}

// checkManifest recognises a whole Kubernetes manifest in the place of the configuration.
func (c *checker) checkManifest(n *node) bool {
	kind := n.get("kind")
	if n.get("apiVersion") == nil || kind == nil {
		return false
	}
	c.problem(n.position, Problem{
		Found: "a Kubernetes manifest of kind " + shorten(kind.text), Expected: "the configuration alone",
		Suggestion: "give only what stands below the key in data",
	})
	return true
}
