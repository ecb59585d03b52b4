package problem

import (
	"strings"
	"unicode/utf8"

	"github.com/hbollon/go-edlib"
)

// DidYouMean is the suggestion to write something else.
func DidYouMean(text string) string {
	return "did you mean " + text + "?"
}

// SuggestNearest suggests the candidate that may be meant by a name; it is empty if none comes to mind.
func SuggestNearest(name string, candidates []string) string {
	if near := Nearest(name, candidates); near != "" {
		return DidYouMean(Quote(near))
	}
	return ""
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
	name = Normalize(name)
	for _, candidate := range candidates {
		other := Normalize(candidate)
		// The difference in length, which is cheap, is the least that the distance can be.
		if longer := utf8.RuneCountInString(name) - utf8.RuneCountInString(other); max(longer, -longer) >= bestDistance {
			continue
		}
		if distance := edlib.OSADamerauLevenshteinDistance(name, other); distance < bestDistance {
			best, bestDistance = candidate, distance
		}
	}
	if best == "" {
		return onlyOverlap(name, candidates)
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

var separators = strings.NewReplacer("-", "", "_", "", " ", "")

// Normalize takes away what people mix up without noticing: case, and the separators of other naming styles.
func Normalize(name string) string {
	return strings.ToLower(separators.Replace(name))
}

// Alternatives joins words as in "a, b or c".
func Alternatives(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}
