package config

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"unicode/utf8"
)

// maxDepth is far beyond the depth of a valid configuration, which is 6, and stops hostile nesting early.
const maxDepth = 32

// maxShown is the number of characters of a key or value that a message repeats.
const maxShown = 60

type kind int

const (
	nullKind kind = iota
	booleanKind
	numberKind
	stringKind
	listKind
	objectKind
	// refusedKind is a value about which a problem was told already.
	refusedKind
)

// position is a place in the text; both count from 1, the column in characters.
type position struct{ line, column int }

// node is one value of a JSON or YAML document and where it begins.
type node struct {
	position
	kind kind
	// text is the content of a string, or a number or boolean as it is written.
	text string
	// legacy is set for a YAML string without quotes that YAML 1.1 takes for a boolean.
	legacy  bool
	items   []*node
	members []member
}

// member is one key of an object with its value. Keys keep their order, and a key may come twice.
type member struct {
	position
	key   string
	value *node
	// ignored is set for a key that does not exist where that is no error, and for one that was refused already.
	ignored bool
}

// get returns the value of a key, or nil if there is none or it is null. The first one counts.
func (n *node) get(key string) *node {
	for _, m := range n.members {
		if m.key == key && m.value.kind != nullKind {
			return m.value
		}
	}
	return nil
}

// describe says what the node is in the words of a message.
func (n *node) describe() string {
	switch n.kind {
	case booleanKind:
		return "boolean " + n.text
	case numberKind:
		return "number " + shorten(n.text)
	case stringKind:
		if n.legacy {
			return n.text + " without quotes"
		}
		return "string " + quote(n.text)
	case listKind:
		return "a list"
	case objectKind:
		return "an object"
	default:
		return "null"
	}
}

// plain returns the node in the types of encoding/json.
func (n *node) plain() any {
	switch n.kind {
	case booleanKind:
		return n.isTrue()
	case numberKind:
		return json.Number(n.text)
	case stringKind:
		return n.text
	case listKind:
		items := make([]any, 0, len(n.items))
		for _, item := range n.items {
			items = append(items, item.plain())
		}
		return items
	case objectKind:
		members := make(map[string]any, len(n.members))
		for _, m := range n.members {
			if !m.ignored {
				members[m.key] = m.value.plain()
			}
		}
		return members
	default:
		return nil
	}
}

// isTrue tells whether the node is the boolean true. YAML also writes it True and TRUE.
func (n *node) isTrue() bool {
	return n != nil && n.kind == booleanKind && (n.text[0] == 't' || n.text[0] == 'T')
}

var simpleKey = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)

// Path writes the path of a setting from its keys, as problems have it.
func Path(keys ...string) string {
	path := ""
	for _, key := range keys {
		path = joinKey(path, key)
	}
	return path
}

// joinKey appends a key to a path: backupPVC.gold, or backupPVC["a.b"] if the key needs it.
func joinKey(path, key string) string {
	switch {
	case !simpleKey.MatchString(key) || len(key) > maxShown:
		return path + "[" + quote(key) + "]"
	case path == "":
		return key
	default:
		return path + "." + key
	}
}

func joinIndex(path string, index int) string {
	return fmt.Sprintf("%s[%d]", path, index)
}

func quote(text string) string {
	return strconv.Quote(shorten(text))
}

func shorten(text string) string {
	if utf8.RuneCountInString(text) <= maxShown {
		return text
	}
	return string([]rune(text)[:maxShown]) + "..."
}
