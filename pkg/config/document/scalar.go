package document

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/node-agent/node-agent/pkg/config/problem"
)

// foreignQuotes are not quotes to JSON: single ones, and those that word processors make of double ones.
const foreignQuotes = "'\u2018\u2019\u201c\u201d\u201e"

var jsonEscape = regexp.MustCompile(`^\\(["\\/bfnrt]|u[0-9a-fA-F]{4})`)

// badString says what is wrong with a string in double quotes, nil if nothing is. It may be a key.
func (r *jsonReader) badString() *problem.Problem {
	start := r.position
	r.next()
	for r.peek() != '"' {
		switch char := r.peek(); {
		case r.done() || char == '\n' || char == '\r':
			return r.fail(start, "the string has no closing quote", r.upcoming(), "'\"'")
		case char == '\t':
			return r.fail(r.position, "a tab inside of a string", "a tab", `\t`)
		case char == '\\':
			if wrong := r.badEscape(); wrong != nil {
				return wrong
			}
		default:
			r.next()
		}
	}
	return nil
}

// badEscape steps over an escape sequence, or two if they are a surrogate pair, unless they are wrong.
func (r *jsonReader) badEscape() *problem.Problem {
	at := r.position
	sequence := jsonEscape.FindString(r.rest())
	if sequence == "" {
		r.next()
		_, size := r.peekRune()
		wrong := r.fail(at, "an unknown escape sequence", strings.TrimSpace(`\`+r.rest()[:size]),
			`one of \" \\ \/ \b \f \n \r \t \uXXXX`)
		wrong.Suggestion = `write \\ for a backslash`
		return wrong
	}
	r.skipTo(r.offset + len(sequence))
	char := codeUnit(sequence)
	if !utf16.IsSurrogate(char) {
		return nil
	}
	second := jsonEscape.FindString(r.rest())
	if utf16.DecodeRune(char, codeUnit(second)) == unicode.ReplacementChar {
		return r.fail(at, "half of a surrogate pair", sequence, "a complete character")
	}
	r.skipTo(r.offset + len(second))
	return nil
}

// codeUnit returns the value of an escape sequence \uXXXX, 0 for any other.
func codeUnit(sequence string) rune {
	digits, found := strings.CutPrefix(sequence, `\u`)
	if !found {
		return 0
	}
	value, err := strconv.ParseUint(digits, 16, 16)
	if err != nil {
		return 0
	}
	return rune(value)
}

func (r *jsonReader) badNumber() *problem.Problem {
	word := r.word()
	wrong := r.fail(r.position, "", problem.Shorten(word), "a number in decimal form, as in 10")
	if unicode.IsLetter(rune(word[len(word)-1])) {
		if _, err := resource.ParseQuantity(problem.Shorten(word)); err == nil {
			wrong.Suggestion = problem.DidYouMean(problem.Quote(word))
		}
	}
	return wrong
}

func (r *jsonReader) badLiteral() *problem.Problem {
	wrong := r.fail(r.position, "", r.upcoming(), "a value")
	if r.peek() == ',' {
		wrong.Message = "a comma too many"
	}
	if wrong.Suggestion == "" {
		wrong.Suggestion = literalSuggestion(r.word())
	}
	return wrong
}

func literalSuggestion(word string) string {
	literal := problem.Nearest(word, []string{"true", "false", "null"})
	switch lower := strings.ToLower(word); {
	case word == "" || lower == "nan" || strings.HasPrefix(lower, "inf"):
		return ""
	case literal != "":
		return problem.DidYouMean(literal)
	case lower == "none" || lower == "nil" || lower == "undefined":
		return problem.DidYouMean("null")
	case BooleanWord(lower) != "":
		return problem.DidYouMean(BooleanWord(lower))
	case problem.SimpleKey.MatchString(strings.Trim(word, foreignQuotes)):
		return problem.DidYouMean(problem.Quote(strings.Trim(word, foreignQuotes)))
	default:
		return ""
	}
}

// word returns the characters up to the next one that ends a number or name.
func (r *jsonReader) word() string {
	end := strings.IndexAny(r.rest(), " \t\r\n,:[]{}\"")
	if end < 0 {
		return r.rest()
	}
	return r.rest()[:end]
}

// upcoming describes what the parser is about to read.
func (r *jsonReader) upcoming() string {
	switch char := r.peek(); {
	case r.done():
		return "the end of the text"
	case char == '\n' || char == '\r':
		return "the end of the line"
	case char == '"':
		if end := strings.IndexAny(r.rest()[1:], "\"\n"); end > 0 {
			return fmt.Sprintf("\"%s\"", problem.Shorten(r.rest()[1:1+end]))
		}
		return `'"'`
	case r.word() != "":
		if first, _ := r.peekRune(); !unicode.IsPrint(first) {
			return fmt.Sprintf("the invisible character U+%04X", first)
		}
		return problem.Shorten(r.word())
	default:
		return fmt.Sprintf("%q", char)
	}
}
