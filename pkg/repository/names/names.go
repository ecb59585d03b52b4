// Package names lets any name of an entry be stored, and come back as it was.
package names

import (
	"context"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"github.com/kopia/kopia/fs"
)

// Kopia stores names as JSON, which knows only UTF-8: of a name in Latin-1 it makes U+FFFD, so that two files may get the same
// name and one of them is lost. So each byte that is no UTF-8 is stored as a character of its own, which is for private use.
// The same is done to those characters, should a name hold them. Velero restores such names with those characters.
const (
	escapeBase  = 0xEF00
	firstEscape = escapeBase + utf8.RuneSelf
	lastEscape  = escapeBase + 0xFF
)

func isEscape(r rune) bool { return r >= firstEscape && r <= lastEscape }

// Escape makes of any name one that can be stored, and that is unlike those made of others.
func Escape(name string) string {
	if utf8.ValidString(name) && !strings.ContainsFunc(name, isEscape) {
		return name
	}
	var result strings.Builder
	for len(name) > 0 {
		r, size := utf8.DecodeRuneInString(name)
		if r == utf8.RuneError && size == 1 || isEscape(r) {
			for _, b := range []byte(name[:size]) {
				result.WriteRune(escapeBase + rune(b))
			}
		} else {
			result.WriteString(name[:size])
		}
		name = name[size:]
	}
	return result.String()
}

// Unescape makes of an escaped name what it was.
func Unescape(name string) string {
	if !strings.ContainsFunc(name, isEscape) {
		return name
	}
	var result strings.Builder
	for _, r := range name {
		if isEscape(r) {
			result.WriteByte(byte(r - escapeBase))
		} else {
			result.WriteRune(r)
		}
	}
	return result.String()
}

// storableDirectory is a directory in which all names can be stored.
type storableDirectory struct {
	fs.Directory

	name string
	// escaped tells whether a name had to be escaped in this directory, or in one of the same tree.
	escaped *atomic.Bool
}

// Name is a name that can be stored.
func (d *storableDirectory) Name() string { return d.name }

// Child finds an entry by the name that it has in the volume.
func (d *storableDirectory) Child(ctx context.Context, name string) (fs.Entry, error) {
	entry, err := d.Directory.Child(ctx, name)
	if err != nil {
		return nil, err
	}
	return d.storable(entry), nil
}

// Iterate goes through the entries.
func (d *storableDirectory) Iterate(ctx context.Context) (fs.DirectoryIterator, error) {
	entries, err := d.Directory.Iterate(ctx)
	if err != nil {
		return nil, err
	}
	return &storableIterator{DirectoryIterator: entries, directory: d}, nil
}

// NewDirectory makes of a directory one in which all names can be stored. escaped is set if one had to be escaped for that.
func NewDirectory(directory fs.Directory, escaped *atomic.Bool) fs.Directory {
	return &storableDirectory{Directory: directory, name: directory.Name(), escaped: escaped}
}

func (d *storableDirectory) storable(entry fs.Entry) fs.Entry {
	name := Escape(entry.Name())
	if sub, ok := entry.(fs.Directory); ok {
		d.escaped.CompareAndSwap(false, name != entry.Name())
		return &storableDirectory{Directory: sub, name: name, escaped: d.escaped}
	}
	if name == entry.Name() {
		return entry
	}
	d.escaped.Store(true)
	switch entry := entry.(type) {
	case fs.File:
		return &storableFile{File: entry, name: name}
	case fs.Symlink:
		return &storableLink{Symlink: entry, name: name}
	case fs.ErrorEntry:
		return &storableError{ErrorEntry: entry, name: name}
	}
	return entry
}

type storableIterator struct {
	fs.DirectoryIterator

	directory *storableDirectory
}

// Next returns nil at the end.
func (i *storableIterator) Next(ctx context.Context) (fs.Entry, error) {
	entry, err := i.DirectoryIterator.Next(ctx)
	if entry == nil || err != nil {
		return nil, err
	}
	return i.directory.storable(entry), nil
}

type storableFile struct {
	fs.File

	name string
}

// Name is a name that can be stored.
func (f *storableFile) Name() string { return f.name }

type storableLink struct {
	fs.Symlink

	name string
}

// Name is a name that can be stored.
func (l *storableLink) Name() string { return l.name }

type storableError struct {
	fs.ErrorEntry

	name string
}

// Name is a name that can be stored.
func (e *storableError) Name() string { return e.name }
