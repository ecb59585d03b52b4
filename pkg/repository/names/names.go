// Package names lets any name of an entry be stored, and come back as it was.
package names

import (
	"strings"
	"unicode/utf8"
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
