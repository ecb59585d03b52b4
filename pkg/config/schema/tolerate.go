package schema

import (
	"fmt"
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

// checkFolded takes a key in other capitals for the one that exists, as encoding/json and thus Velero do.
func (c *checker) checkFolded(n *yaml.Node, m member, f *field) {
	for other := range document.Members(n) {
		if other != m.key && strings.EqualFold(other.Value, f.name) {
			c.problem(m.key, problem.Problem{
				Path: m.path, Message: fmt.Sprintf("the same key in other capitals is at %d:%d", other.Line, other.Column),
				Suggestion: "remove one of them",
			})
			return
		}
	}
	c.warnOfKey(m, problem.Problem{Message: "taken for " + f.name, Suggestion: "write it so"})
	m.key.Value = f.name
	c.checkKnown(m, f)
}

func (c *checker) warnOfKey(m member, p problem.Problem) {
	p.Line, p.Column, p.Path = m.key.Line, m.key.Column, m.path
	c.unknownKeys = append(c.unknownKeys, p)
	c.warnings = append(c.warnings, p)
}
