package document

import (
	"encoding/json"
	"iter"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/node-agent/node-agent/pkg/config/problem"
)

// Kind is the type of a value, the same for JSON and YAML.
type Kind int

// The kinds of values.
const (
	Null Kind = iota
	Boolean
	Number
	String
	List
	Object
	// Refused is a value about which a problem was told already.
	Refused
)

// KindOf returns the kind of a value. Scalars without quotes mean what the core schema of YAML 1.2 says.
func KindOf(n *yaml.Node) Kind {
	switch {
	case isTagged(n):
		return Refused
	case n.Kind == yaml.MappingNode:
		return Object
	case n.Kind == yaml.SequenceNode:
		return List
	case n.Kind == yaml.ScalarNode:
		return scalarKind(n)
	default:
		return Refused
	}
}

// yamlNumber matches what the core schema of YAML 1.2 or any older reader takes for a number, so that no number passes
// as a string. Whether it is a good number is decided where one is expected.
var yamlNumber = regexp.MustCompile(`^([-+]?(0b[01_]+|0o[0-7]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?|` +
	`\.[0-9][0-9_]*([eE][-+]?[0-9]+)?|\.(inf|Inf|INF))|\.(nan|NaN|NAN))$`)

func scalarKind(n *yaml.Node) Kind {
	if n.Style != 0 {
		return String
	}
	switch n.Value {
	case "", "~", "null", "Null", "NULL":
		return Null
	case "true", "True", "TRUE", "false", "False", "FALSE":
		return Boolean
	default:
		if yamlNumber.MatchString(n.Value) {
			return Number
		}
		return String
	}
}

// booleanWords are strings that people, and YAML 1.1, use for booleans.
var booleanWords = map[string]string{
	"yes": "true", "no": "false", "on": "true", "off": "false", "y": "true", "n": "false",
}

// BooleanWord returns the boolean that a word like yes stands for, "" if it stands for none.
func BooleanWord(word string) string { return booleanWords[strings.ToLower(word)] }

// IsLegacy tells whether a value is a string without quotes that YAML 1.1 takes for a boolean.
func IsLegacy(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Style == 0 && BooleanWord(n.Value) != ""
}

// IsTrue tells whether a value, which may be nil, is the boolean true. YAML also writes it True and TRUE.
func IsTrue(n *yaml.Node) bool {
	return n != nil && KindOf(n) == Boolean && strings.EqualFold(n.Value, "true")
}

// Members returns the keys of an object and their values, in the order of the text. A key may come twice.
func Members(n *yaml.Node) iter.Seq2[*yaml.Node, *yaml.Node] {
	return func(yield func(key, value *yaml.Node) bool) {
		for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
			if !yield(n.Content[i], n.Content[i+1]) {
				return
			}
		}
	}
}

// Items returns the elements of a list.
func Items(n *yaml.Node) []*yaml.Node {
	if n.Kind != yaml.SequenceNode {
		return nil
	}
	return n.Content
}

// Get returns the value of a key, or nil if there is none or it is null. The first one counts.
func Get(n *yaml.Node, name string) *yaml.Node {
	for key, value := range Members(n) {
		if key.Value == name && KindOf(value) != Null {
			return value
		}
	}
	return nil
}

// Describe says what a value is in the words of a message.
func Describe(n *yaml.Node) string {
	switch KindOf(n) {
	case Boolean:
		return "boolean " + n.Value
	case Number:
		return "number " + problem.Shorten(n.Value)
	case String:
		if IsLegacy(n) {
			return n.Value + " without quotes"
		}
		return "string " + problem.Quote(n.Value)
	case List:
		return "a list"
	case Object:
		return "an object"
	default:
		return "null"
	}
}

// Plain returns a value in the types of encoding/json.
func Plain(n *yaml.Node) any {
	switch KindOf(n) {
	case Boolean:
		return IsTrue(n)
	case Number:
		return json.Number(n.Value)
	case String:
		return n.Value
	case List:
		items := make([]any, 0, len(n.Content))
		for _, item := range n.Content {
			items = append(items, Plain(item))
		}
		return items
	case Object:
		members := make(map[string]any, len(n.Content)/2)
		for key, value := range Members(n) {
			members[key.Value] = Plain(value)
		}
		return members
	default:
		return nil
	}
}

// Remove takes keys and their values out of an object.
func Remove(n *yaml.Node, keys map[*yaml.Node]bool) {
	var kept []*yaml.Node
	for key, value := range Members(n) {
		if !keys[key] {
			kept = append(kept, key, value)
		}
	}
	n.Content = kept
}
