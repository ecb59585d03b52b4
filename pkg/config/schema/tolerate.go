package schema

import (
	"fmt"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/node-agent/node-agent/pkg/config/document"
	"github.com/node-agent/node-agent/pkg/config/problem"
)

// UnknownKeys says what becomes of keys that do not exist. It is a flag of the command line. Whatever it says, a whole section that is
// unknown, and not near to a known one, is ignored with a warning: a Velero that is newer may have it.
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

// checkUnknown deals with a key that an object does not have, and tells whether it is to be ignored. If it is an error, the key
// that is meant is returned if that is known.
func (c *checker) checkUnknown(n *yaml.Node, m member, s *schema, at string) (meant *field, ignore bool) {
	wrong := problem.Problem{Path: at, Message: "unknown key"}
	// Keys come in the order of the text, so that a later one will not be shown: spare the search for suggestions.
	isShown := len(c.problems)+len(c.unknownKeys) < problem.Max
	if isShown {
		wrong, meant = unknownKey(m, at, s)
	}
	if !c.tolerant {
		if s == root && isShown && isForeignSection(m.key.Value, wrong) {
			c.warnOfKey(m.key, wrong)
			return nil, true
		}
		c.problem(m.key, wrong)
		if meant != nil && (meant.name == m.key.Value || document.Get(n, meant.name) == nil) {
			c.checkMeant(m, meant, at)
		}
		return meant, false
	}
	if f := s.foldedField(m.key.Value); f != nil {
		return nil, c.checkFolded(n, m, f, at)
	}
	c.warnOfKey(m.key, wrong)
	return nil, true
}

// sectionName is how Velero names its sections.
var sectionName = regexp.MustCompile(`^[a-z][A-Za-z0-9]{0,62}$`)

// isForeignSection tells whether an unknown key is none of ours that is misspelled or misplaced, but may well be a whole section
// of a Velero that is newer.
func isForeignSection(name string, wrong problem.Problem) bool {
	return wrong.Suggestion == "" && sectionName.MatchString(name)
}

// checkMeant tells at once what is wrong with the value of a key that is an error itself. Where the key is a guess, a value of
// another type makes it a bad one.
func (c *checker) checkMeant(m member, meant *field, at string) {
	isCertain := strings.EqualFold(meant.name, m.key.Value)
	kind := document.KindOf(m.value)
	if kind == meant.value.kind || isCertain && kind != document.Null {
		c.check(m.value, meant.value, at)
	}
}

// checkFolded takes a key in other capitals for the one that exists, as encoding/json and thus Velero do, or ignores it.
func (c *checker) checkFolded(n *yaml.Node, m member, f *field, at string) (ignore bool) {
	for other := range document.Members(n) {
		if other != m.key && strings.EqualFold(other.Value, f.name) {
			c.problem(m.key, problem.Problem{
				Path: at, Message: fmt.Sprintf("the same key in other capitals is at %d:%d", other.Line, other.Column),
				Suggestion: "remove one of them",
			})
			return true
		}
	}
	c.unknownKey(m.key, problem.Problem{Path: at, Message: "taken for " + f.name, Suggestion: "write it so"})
	m.key.Value = f.name
	c.checkKnown(m, f, at)
	return false
}

// warnOfKey says that a key is ignored.
func (c *checker) warnOfKey(key *yaml.Node, p problem.Problem) {
	p.Message += ", ignored"
	c.unknownKey(key, p)
}

func (c *checker) unknownKey(key *yaml.Node, p problem.Problem) {
	p.Line, p.Column = key.Line, key.Column
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
