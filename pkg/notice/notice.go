// Package notice is how a data mover says what of a volume is not as one would expect, although its backup or restore is
// complete: what moves data counts, the termination message carries the counts, and the controller tells them.
package notice

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Code is what a notice is about. It is the reason of an Event and the value of a label of metrics.
type Code string

// What backups say.
const (
	// TimesNotKept counts entries with a time that the format of the repository cannot hold.
	TimesNotKept Code = "TimesNotKept"
	// ChangedWhileRead counts files that were written to while they were read.
	ChangedWhileRead Code = "ChangedWhileRead"
	// SpecialFilesSkipped counts sockets, pipes and device nodes.
	SpecialFilesSkipped Code = "SpecialFilesSkipped"
	// LargerThanVolume gives the bytes that a restore needs, if the volume has fewer: nothing is shared between files any more.
	LargerThanVolume Code = "LargerThanVolume"
	// LargerWithoutHoles gives the bytes that a restore needs which writes no holes, if the volume has fewer.
	LargerWithoutHoles Code = "LargerWithoutHoles"
)

// What restores say.
const (
	// OwnersNotRestored counts entries whose owner the volume refused or did not keep.
	OwnersNotRestored Code = "OwnersNotRestored"
	// ModesNotRestored counts entries whose mode the volume refused or did not keep.
	ModesNotRestored Code = "ModesNotRestored"
	// TimesNotRestored counts entries whose time the volume refused, or that is out of its range.
	TimesNotRestored Code = "TimesNotRestored"
	// TimesCoarser counts entries whose time the volume keeps less exactly.
	TimesCoarser Code = "TimesCoarser"
	// LinksNotRestored counts symbolic links that are missing, since the volume has none.
	LinksNotRestored Code = "LinksNotRestored"
	// VolumeTooSmall gives the bytes of the data, if the volume had room for fewer.
	VolumeTooSmall Code = "VolumeTooSmall"
	// VolumeTooFewInodes gives the number of entries, if the volume had inodes for fewer.
	VolumeTooFewInodes Code = "VolumeTooFewInodes"
)

// unknown is the label of what a mover of another version says.
const unknown Code = "Other"

// texts say what the count of a code is about. The order is that in which notices are told.
var texts = []struct {
	code Code
	text string
}{
	{LargerThanVolume, "a restore needs %d bytes, more than the volume has: what files share, as by hard links, is written for each"},
	{LargerWithoutHoles, "a restore that writes no holes needs %d bytes, more than the volume has"},
	{TimesNotKept, "entries with times before 1677 or after 2262, of which the nearest that can be stored are kept: %d"},
	{ChangedWhileRead, "files that changed while they were read: %d"},
	{LinksNotRestored, "symbolic links that are missing, since the volume has none: %d"},
	{OwnersNotRestored, "entries whose owner the volume does not take: %d"},
	{ModesNotRestored, "entries whose mode the volume does not take: %d"},
	{TimesNotRestored, "entries whose time the volume does not take, or has no room for: %d"},
	{TimesCoarser, "entries whose time the volume keeps less exactly: %d"},
	{VolumeTooSmall, "%d bytes were restored into a volume that had room for fewer"},
	{VolumeTooFewInodes, "%d entries were restored into a volume that had inodes for fewer"},
	{SpecialFilesSkipped, "sockets, pipes and device nodes, which are not stored: %d"},
}

// maxExample bounds an example, in bytes, so that a list of all codes fits into a termination message.
const maxExample = 128

// Notice is one thing to say about a volume.
type Notice struct {
	// Code is what it is about.
	Code Code `json:"code"`
	// Count is how many entries it is about, or bytes, as the code says.
	Count int64 `json:"count"`
	// Example is the path of one of the entries, relative to the root of the volume. It may be empty.
	Example string `json:"example,omitempty"`
}

// String is a text for people.
func (n Notice) String() string {
	result := fmt.Sprintf("%s: %d", n.Code, n.Count)
	if i := place(n.Code); i < len(texts) {
		result = fmt.Sprintf(texts[i].text, n.Count)
	}
	if n.Example != "" {
		result += fmt.Sprintf(" (for instance %s)", n.Example)
	}
	return result
}

// Label is the code where it is one of Labels, so that a metric has no more values than those.
func (n Notice) Label() string {
	if place(n.Code) < len(texts) {
		return string(n.Code)
	}
	return string(unknown)
}

// Labels are the values that Label may have.
func Labels() []string {
	result := []string{string(unknown)}
	for _, known := range texts {
		result = append(result, string(known.code))
	}
	return result
}

// Text says all notices in one line.
func Text(notices []Notice) string {
	parts := make([]string, len(notices))
	for i, n := range notices {
		parts[i] = n.String()
	}
	return strings.Join(parts, "; ")
}

// place is the index of a code in texts, and their number for one that is not known.
func place(code Code) int {
	for i, known := range texts {
		if known.code == code {
			return i
		}
	}
	return len(texts)
}

// Counter counts what is to be said. The zero value is ready, and may be used by several goroutines.
type Counter struct {
	mu     sync.Mutex
	counts map[Code]Notice
}

// Add counts one entry. The first path is kept as the example.
func (c *Counter) Add(code Code, path string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, found := c.counts[code]
	if !found {
		n = Notice{Code: code, Example: shorten(path)}
	}
	n.Count++
	c.put(n)
}

// Set notes a number.
func (c *Counter) Set(code Code, count int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.put(Notice{Code: code, Count: count})
}

func (c *Counter) put(n Notice) {
	if c.counts == nil {
		c.counts = map[Code]Notice{}
	}
	c.counts[n.Code] = n
}

// Notices are what was counted, at most one of each code, in the order in which they are to be told.
func (c *Counter) Notices() []Notice {
	c.mu.Lock()
	defer c.mu.Unlock()
	var result []Notice
	for _, n := range c.counts {
		result = append(result, n)
	}
	slices.SortFunc(result, func(a, b Notice) int { return place(a.Code) - place(b.Code) })
	return result
}

// shorten cuts a path at its beginning: its end is what tells it from others.
func shorten(path string) string {
	path = strings.ToValidUTF8(path, "?")
	if len(path) <= maxExample {
		return path
	}
	return "..." + strings.ToValidUTF8(path[len(path)-maxExample+len("..."):], "")
}
