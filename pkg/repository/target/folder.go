package target

import (
	"path"
	"slices"
	"strings"
)

// maxShownPath limits how much of a path a message shows, in bytes: a path of the volume may be of any length.
const maxShownPath = 300

// Folder is a directory of the volume. It is known by its name in its parent, since its path may be longer than the
// system takes.
type Folder struct {
	Parent *Folder // nil for the root of the volume
	Name   string
}

// String is the path relative to the root of the volume, whose own is ".", for messages.
func (d *Folder) String() string { return Place{Dir: d, Name: "."}.String() }

// Here is where a folder is.
func (d *Folder) Here() Place {
	if d.Parent == nil {
		return Place{Dir: d, Name: "."}
	}
	return Place{Dir: d.Parent, Name: d.Name}
}

// Place is where an entry of the volume is.
type Place struct {
	Dir  *Folder
	Name string
}

// String is the path relative to the root of the volume, for messages.
func (p Place) String() string {
	names := []string{p.Name}
	for dir := p.Dir; dir.Parent != nil; dir = dir.Parent {
		names = append(names, dir.Name)
	}
	slices.Reverse(names)
	shown := path.Join(names...)
	if len(shown) <= maxShownPath {
		return shown
	}
	const half = maxShownPath / 2
	return strings.ToValidUTF8(shown[:half], "") + "..." + strings.ToValidUTF8(shown[len(shown)-half:], "")
}
