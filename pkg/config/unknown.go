package config

import "slices"

// unknownKey tells what is wrong with a key that an object does not have, and which of its keys is meant if that is
// the case.
func unknownKey(key, path string, s *schema) (problem Problem, meant string) {
	problem = Problem{Path: path, Message: "unknown key", Expected: alternatives(s.names())}
	near := nearest(key, s.names())
	if near != "" && normalize(near) == normalize(key) {
		problem.Suggestion = didYouMean(quote(near))
		return problem, near
	}
	if places := placesOf(key); len(places) > 0 {
		return Problem{Path: path, Message: "misplaced key", Suggestion: "move it to " + alternatives(places)}, ""
	}
	if near != "" {
		problem.Suggestion = didYouMean(quote(near))
		return problem, near
	}
	if elsewhere := nearest(key, allNames()); elsewhere != "" {
		problem.Suggestion = didYouMean(alternatives(placesOf(elsewhere)))
	}
	return problem, ""
}

// placesOf returns the paths of all keys of a name, in the order of the schema.
func placesOf(name string) []string {
	var places []string
	root.walk("", func(path string, f field) {
		if f.name == name {
			places = append(places, path)
		}
	})
	return places
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
