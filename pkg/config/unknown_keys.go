package config

import (
	"fmt"
	"strings"
)

// UnknownKeys says what becomes of keys that do not exist. It is a flag of the command line.
type UnknownKeys string

const (
	// RefuseUnknownKeys makes them errors, the default.
	RefuseUnknownKeys UnknownKeys = "error"
	// WarnOfUnknownKeys ignores them with a warning, so that a ConfigMap that Velero takes can be used as it is.
	WarnOfUnknownKeys UnknownKeys = "warn"
)

// String returns the value of the flag.
func (u *UnknownKeys) String() string { return string(*u) }

// Type is what the help calls the value.
func (u *UnknownKeys) Type() string { return "error|warn" }

// Set takes the value of the flag.
func (u *UnknownKeys) Set(value string) error {
	switch mode := UnknownKeys(value); mode {
	case RefuseUnknownKeys, WarnOfUnknownKeys:
		*u = mode
		return nil
	default:
		return fmt.Errorf("it must be %s or %s", RefuseUnknownKeys, WarnOfUnknownKeys)
	}
}

// checkUnknown deals with a key that an object does not have. It returns the one that is meant if that is known and an error.
func (c *checker) checkUnknown(n *node, m *member, s *schema, at string) *field {
	problem, meant := Problem{Path: at, Message: "unknown key"}, (*field)(nil)
	// Keys come in the order of the text, so that a later one will not be shown: spare the search for suggestions.
	if len(c.problems)+len(c.unknownKeys) < maxProblems {
		problem, meant = unknownKey(m, at, s)
	}
	if !c.tolerant {
		c.problem(m.position, problem)
		if meant != nil && (meant.name == m.key || n.get(meant.name) == nil) {
			c.checkMeant(m, meant, at)
		}
		return meant
	}
	if f := s.foldedField(m.key); f != nil {
		c.checkFolded(n, m, f, at)
		return nil
	}
	m.ignored = true
	problem.Message += ", ignored"
	c.warnOfKey(m.position, problem)
	return nil
}

// checkMeant tells at once what is wrong with the value of a key that is an error itself. Where the key is a guess, a value of
// another type makes it a bad one.
func (c *checker) checkMeant(m *member, meant *field, at string) {
	isCertain := strings.EqualFold(meant.name, m.key)
	if m.value.kind == meant.value.kind || isCertain && m.value.kind != nullKind {
		c.check(m.value, meant.value, at)
	}
}

// checkFolded takes a key in other capitals for the one that exists, as encoding/json and thus Velero do.
func (c *checker) checkFolded(n *node, m *member, f *field, at string) {
	for _, other := range n.members {
		if other.position != m.position && strings.EqualFold(other.key, f.name) {
			c.problem(m.position, Problem{
				Path: at, Message: fmt.Sprintf("the same key in other capitals is at %d:%d", other.line, other.column),
				Suggestion: "remove one of them",
			})
			m.ignored = true
			return
		}
	}
	c.warnOfKey(m.position, Problem{Path: at, Message: "taken for " + f.name, Suggestion: "write it so"})
	m.key = f.name
	c.checkKnown(*m, f, at)
}

func (c *checker) warnOfKey(at position, p Problem) {
	p.Line, p.Column = at.line, at.column
	c.unknownKeys = append(c.unknownKeys, p)
	c.warnings = append(c.warnings, p)
}

func (s *schema) foldedField(name string) *field {
	for i := range s.fields {
		if strings.EqualFold(s.fields[i].name, name) {
			return &s.fields[i]
		}
	}
	return nil
}
