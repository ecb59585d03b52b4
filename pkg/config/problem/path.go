package problem

import (
	"fmt"
	"regexp"
	"strconv"

	"github.com/node-agent/node-agent/pkg/text"
)

// maxShown is how much of a key or value a message repeats, in bytes.
const maxShown = 64

// SimpleKey matches a key that needs no quotes in a path, as every setting has it.
var SimpleKey = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)

// Path writes the path of a setting from its keys, as problems have it.
func Path(keys ...string) string {
	path := ""
	for _, key := range keys {
		path = Key(path, key)
	}
	return path
}

// Key appends a key to a path: backupPVC.gold, or backupPVC["a.b"] if the key needs it.
func Key(path, key string) string {
	switch {
	case !SimpleKey.MatchString(key) || len(key) > maxShown:
		return path + "[" + Quote(key) + "]"
	case path == "":
		return key
	default:
		return path + "." + key
	}
}

// Index appends the index of a list to a path.
func Index(path string, index int) string {
	return fmt.Sprintf("%s[%d]", path, index)
}

// Quote repeats a key or value in quotes.
func Quote(value string) string {
	return strconv.Quote(Shorten(value))
}

// Shorten repeats a key or value.
func Shorten(value string) string {
	return text.Shorten(value, maxShown)
}
