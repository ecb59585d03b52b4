// Package text makes messages of texts that come from elsewhere: short enough, and without secrets.
package text

import "strings"

// Shorten cuts a text of more than limit bytes in its middle, so that it has limit bytes at most: the beginning of a message
// says what was being done, its end says why it failed. The limit must leave room for the mark of the cut, 5 bytes.
func Shorten(text string, limit int) string {
	const mark = " ... "
	if len(text) <= limit {
		return text
	}
	tail := (limit - len(mark)) / 2
	head := limit - len(mark) - tail
	// A character that is cut in two is left out.
	return strings.ToValidUTF8(text[:head], "") + mark + strings.ToValidUTF8(text[len(text)-tail:], "")
}
