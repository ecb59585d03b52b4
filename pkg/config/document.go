package config

// Document is a text that was checked: what it says, and what there is to say about it.
type Document struct {
	// Source names the text in messages: the file, or the ConfigMap and its key.
	Source string
	// Key is that of the ConfigMap in which the text was found. Empty: it was not in a ConfigMap.
	Key string
	// IsJSON tells whether the text is JSON, which alone Velero reads.
	IsJSON bool
	// Config is nil if there are problems.
	Config *Config
	// Problems make the configuration unusable; Warnings do not. Both are in the order in which they were found.
	Problems, Warnings []Problem

	tree *node
	// shift is where the text stands in its file.
	shift shift
}

// Err returns an *Error with all problems, or nil.
func (d *Document) Err() error {
	if len(d.Problems) == 0 {
		return nil
	}
	return newError(d.Source, d.Problems...)
}

// Place returns the line and column of a setting, as in backupPVC.gold.readOnly, or of what is nearest above it in the text.
// Both are 0 if nothing is.
func (d *Document) Place(path string) (line, column int) {
	var found position
	if d.tree != nil {
		longest := -1
		d.tree.visit("", d.tree.position, func(at string, place position) {
			if len(at) > longest && isPrefixPath(at, path) {
				longest, found = len(at), d.shift.apply(place)
			}
		})
	}
	return found.line, found.column
}

// visit calls a function with the path and position of every value below a node. The position is that of the key.
func (n *node) visit(path string, at position, call func(path string, at position)) {
	call(path, at)
	for _, m := range n.members {
		m.value.visit(joinKey(path, m.key), m.position, call)
	}
	for i, item := range n.items {
		item.visit(joinIndex(path, i), item.position, call)
	}
}

// isPrefixPath tells whether a path is another one or leads to it.
func isPrefixPath(prefix, path string) bool {
	if prefix == "" || prefix == path {
		return true
	}
	return len(path) > len(prefix) && path[:len(prefix)] == prefix && (path[len(prefix)] == '.' || path[len(prefix)] == '[')
}

// shift moves positions in a text to those in the file that the text is part of.
type shift struct{ lines, columns int }

func (s shift) apply(at position) position {
	return position{line: at.line + s.lines, column: at.column + s.columns}
}

func (s shift) move(problems []Problem) {
	for i := range problems {
		moved := s.apply(position{line: problems[i].Line, column: problems[i].Column})
		problems[i].Line, problems[i].Column = moved.line, moved.column
	}
}
