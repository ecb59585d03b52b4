package problem

import (
	"strings"
)

// DidYouMean is the suggestion to write something else.
func DidYouMean(text string) string {
	return "did you mean " + text + "?"
}

// SuggestNearest suggests the candidate that may be meant by a name; it is empty if none comes to mind.
func SuggestNearest(name string, candidates []string) string {
	near := Nearest(name, candidates)
	if near == "" {
		return ""
	}
	return DidYouMean(Quote(near))
}

// Nearest returns the candidate with the smallest edit distance to a name, or "" if none is near enough to be what was
// meant: at most two edits, three in long names, and less than half of the name. Failing that, it returns the only candidate that is part
// of the name or has it as a part, as in storageClassName.
func Nearest(name string, candidates []string) string {
	const maxLength, long = 64, 14
	if len(name) > maxLength {
		return ""
	}
	maxEdits := 2
	if len(name) >= long {
		maxEdits = 3
	}
	best, bestDistance := "", min(maxEdits, (len(name)-1)/2)+1
	for _, candidate := range candidates {
		distance := editDistance(Normalize(name), Normalize(candidate))
		if distance < bestDistance {
			best, bestDistance = candidate, distance
		}
	}
	if best == "" {
		return onlyOverlap(Normalize(name), candidates)
	}
	return best
}

func onlyOverlap(name string, candidates []string) string {
	const minLength = 5
	overlap := ""
	for _, candidate := range candidates {
		other := Normalize(candidate)
		if min(len(name), len(other)) < minLength || !strings.Contains(name, other) && !strings.Contains(other, name) {
			continue
		}
		if overlap != "" {
			return ""
		}
		overlap = candidate
	}
	return overlap
}

// Normalize takes away what people mix up without noticing: case, and the separators of other naming styles.
func Normalize(name string) string {
	return strings.ToLower(strings.NewReplacer("-", "", "_", "", " ", "").Replace(name))
}

// editDistance counts the insertions, deletions, replacements and swaps of neighbours that turn a into b.
func editDistance(a, b string) int {
	before, previous := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range previous {
		previous[j] = j
	}
	for i := range len(a) {
		current := make([]int, len(b)+1)
		current[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			current[j+1] = min(previous[j+1]+1, current[j]+1, previous[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				current[j+1] = min(current[j+1], before[j-1]+1)
			}
		}
		before, previous = previous, current
	}
	return previous[len(b)]
}

// Alternatives joins words as in "a, b or c".
func Alternatives(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}
