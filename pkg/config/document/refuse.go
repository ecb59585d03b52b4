package document

import (
	"fmt"

	"go.yaml.in/yaml/v4"

	"github.com/node-agent/node-agent/pkg/config/problem"
)

// maxDepth is far beyond the depth of a valid configuration, which is 6, and stops hostile nesting early.
const maxDepth = 32

// refuse collects what YAML has and a configuration cannot have: what other readers of YAML take for something else is
// refused instead of guessed.
type refuse struct{ problems []problem.Problem }

func (r *refuse) node(n *yaml.Node, path string, depth int) {
	switch {
	case n.Kind == yaml.AliasNode:
		r.add(n, path, "aliases are not supported", "*"+n.Value, "the value itself", "")
		return
	case isTagged(n):
		r.add(n, path, "tags are not supported", "tag "+problem.Shorten(n.Tag), "a value without a tag", "")
	}
	if KindOf(n) == String {
		// Also what looks like a date.
		n.Tag = "!!str"
	}
	if n.Kind != yaml.ScalarNode && depth >= maxDepth {
		r.problems = append(r.problems, tooDeep(n, path))
		n.Kind, n.Content = 0, nil
		return
	}
	for key, value := range Members(n) {
		r.key(key, path)
		r.node(value, problem.Key(path, key.Value), depth+1)
	}
	for i, item := range Items(n) {
		r.node(item, problem.Index(path, i), depth+1)
	}
}

func isTagged(n *yaml.Node) bool {
	return n.Style&yaml.TaggedStyle != 0 || n.Tag == "!"
}

// key leaves only keys that are strings.
func (r *refuse) key(key *yaml.Node, path string) {
	switch isScalar := key.Kind == yaml.ScalarNode; {
	case key.Kind == yaml.AliasNode || isScalar && isTagged(key):
		r.node(key, path, 0)
	case isScalar && key.Value == "<<" && key.Style == 0:
		r.add(key, path, "merge keys are not supported", "<<", "the keys themselves", "")
	case !isScalar || isBlank(key):
		r.add(key, path, "", "a key that is not a string", "a string", "")
	case KindOf(key) != String:
		r.add(key, path, "", fmt.Sprintf("key %s without quotes", problem.Shorten(key.Value)), "a string",
			problem.DidYouMean(problem.Quote(key.Value)))
	default:
		return
	}
	key.Kind = 0
}

func (r *refuse) add(n *yaml.Node, path, message, found, expected, suggestion string) {
	r.problems = append(r.problems, problem.Problem{
		Line: n.Line, Column: n.Column, Path: path, Message: message, Found: found, Expected: expected, Suggestion: suggestion,
	})
}

func tooDeep(n *yaml.Node, path string) problem.Problem {
	return problem.Problem{
		Line: n.Line, Column: n.Column, Path: path, Message: "nested too deeply",
		Found: fmt.Sprintf("level %d", maxDepth+1), Expected: fmt.Sprintf("at most %d levels", maxDepth),
	}
}
