package document

import (
	"iter"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/node-agent/node-agent/pkg/config/problem"
)

// Kind is the type of a value, the same for JSON and YAML.
type Kind int

// The kinds of values.
const (
	String Kind = iota
	Null
	Boolean
	Number
	List
	Object
	// Word is a string without quotes that YAML 1.1 takes for a boolean, such as yes.
	Word
	// Refused is a value about which a problem was told already.
	Refused
)

var kinds = map[string]Kind{
	"!!null": Null, "!!bool": Boolean, "!!int": Number, "!!float": Number, "!!seq": List, "!!map": Object,
}

// KindOf returns the kind of a value. What is not in quotes and looks like a number to any reader of YAML is one. Whether it is a
// good number is decided where one is expected.
func KindOf(n *yaml.Node) Kind {
	switch kind := kinds[n.ShortTag()]; {
	case n.Kind == 0 || n.Kind == yaml.AliasNode || isTagged(n):
		return Refused
	case kind == String && n.Style == 0 && BooleanWord(n.Value) != "":
		return Word
	default:
		return kind
	}
}

// booleanWords are strings that people, and YAML 1.1, use for booleans.
var booleanWords = map[string]string{
	"yes": "true", "no": "false", "on": "true", "off": "false", "y": "true", "n": "false",
}

// BooleanWord returns the boolean that a word like yes stands for, "" if it stands for none.
func BooleanWord(word string) string { return booleanWords[strings.ToLower(word)] }

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

// Text returns the text of the value of a key, or "" if there is none.
func Text(n *yaml.Node, name string) string {
	if value := Get(n, name); value != nil {
		return value.Value
	}
	return ""
}

// Describe says what a value is in the words of a message.
func Describe(n *yaml.Node) string {
	switch KindOf(n) {
	case Boolean:
		return "boolean " + n.Value
	case Number:
		return "number " + problem.Shorten(n.Value)
	case Word:
		return n.Value + " without quotes"
	case String:
		return "string " + problem.Quote(n.Value)
	case List:
		return "a list"
	case Object:
		return "an object"
	default:
		return "null"
	}
}
