package schema

import (
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/node-agent/node-agent/pkg/config"
	"github.com/node-agent/node-agent/pkg/config/document"
	"github.com/node-agent/node-agent/pkg/config/problem"
)

// Checked is a text that was held against the schema: what it says, and what there is to say about it.
type Checked struct {
	// Source names the text in messages: the file, or the ConfigMap and its key.
	Source string
	// Key is that of the ConfigMap in which the text was found. Empty: it was not in a ConfigMap.
	Key string
	// IsJSON tells whether the text is JSON, which alone Velero reads.
	IsJSON bool
	// Config is nil if there are problems.
	Config *config.Config
	// Problems make the configuration unusable; Warnings do not: they are about what is valid but does not do what its author may
	// think. UnknownKeys are those of the warnings that are about keys which do not exist. All are in the order in which they
	// were found.
	Problems, Warnings, UnknownKeys []problem.Problem

	tree *yaml.Node
	// lines and columns are where the text stands in its file.
	lines, columns int
}

// Err returns a *problem.Error with all problems, or nil.
func (c *Checked) Err() error {
	if len(c.Problems) == 0 {
		return nil
	}
	return problem.NewError(c.Source, c.Problems...)
}

// Move moves all positions to those in the file that the text is part of.
func (c *Checked) Move(lines, columns int) {
	c.lines, c.columns = lines, columns
	for _, problems := range [][]problem.Problem{c.Problems, c.Warnings, c.UnknownKeys} {
		for i := range problems {
			problems[i].Line += lines
			problems[i].Column += columns
		}
	}
}

// Place returns the line and column of a setting, as in backupPVC.gold.readOnly, or of what is nearest above it in the text.
// Both are 0 if nothing is.
func (c *Checked) Place(path string) (line, column int) {
	if c.tree == nil {
		return 0, 0
	}
	found, longest := c.tree, -1
	visit(c.tree, "", c.tree, func(at string, place *yaml.Node) {
		rest, leads := strings.CutPrefix(path, at)
		if leads && len(at) > longest && (at == "" || rest == "" || rest[0] == '.' || rest[0] == '[') {
			longest, found = len(at), place
		}
	})
	return found.Line + c.lines, found.Column + c.columns
}

// visit calls a function with the path and place of every value below a node. The place is that of the key.
func visit(n *yaml.Node, path string, place *yaml.Node, call func(path string, place *yaml.Node)) {
	call(path, place)
	for key, value := range document.Members(n) {
		visit(value, problem.Key(path, key.Value), key, call)
	}
	for i, item := range document.Items(n) {
		visit(item, problem.Index(path, i), item, call)
	}
}
