package restore

import (
	"path"
	"slices"
	"strings"
)

// maxShownPath limits how much of a path a message shows, in bytes: a path of the volume may be of any length.
const maxShownPath = 300

// folder is a directory of the volume. It is known by its name in its parent, since its path may be longer than the
// system takes.
type folder struct {
	parent *folder // nil for the root of the volume
	name   string
}

// String is the path relative to the root of the volume, whose own is ".", for messages.
func (d *folder) String() string { return place{dir: d, name: "."}.String() }

// here is where a folder is.
func (d *folder) here() place {
	if d.parent == nil {
		return place{dir: d, name: "."}
	}
	return place{dir: d.parent, name: d.name}
}

// place is where an entry of the volume is.
type place struct {
	dir  *folder
	name string
}

// String is the path relative to the root of the volume, for messages.
func (p place) String() string {
	names := []string{p.name}
	for dir := p.dir; dir.parent != nil; dir = dir.parent {
		names = append(names, dir.name)
	}
	slices.Reverse(names)
	shown := path.Join(names...)
	if len(shown) <= maxShownPath {
		return shown
	}
	const half = maxShownPath / 2
	return strings.ToValidUTF8(shown[:half], "") + "..." + strings.ToValidUTF8(shown[len(shown)-half:], "")
}
