package schema

import (
	"github.com/node-agent/node-agent/pkg/config/document"
	"github.com/node-agent/node-agent/pkg/config/problem"
)

// Setting is one key of the schema, for the tests that hold the types and the documentation against it.
type Setting struct {
	Path string
	// Inert is set if the key or one that it is part of has no effect in this version.
	Inert bool
	// Leaf is set if there are no known keys below.
	Leaf bool
}

// Settings lists the whole schema.
func Settings() []Setting {
	return settings(root, "", false)
}

func settings(s *schema, path string, inert bool) []Setting {
	var all []Setting
	for _, f := range s.fields {
		at := problem.Key(path, f.name)
		below := settings(f.value, at, inert || f.inert)
		all = append(all, Setting{Path: at, Inert: inert || f.inert, Leaf: len(below) == 0})
		all = append(all, below...)
	}
	switch {
	case s.each == nil:
		return all
	case s.kind == document.List:
		return settings(s.each, path+"[]", inert)
	default:
		return settings(s.each, path+"."+s.keyName, inert)
	}
}
