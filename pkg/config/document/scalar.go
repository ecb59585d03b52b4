package document

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v4"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/node-agent/node-agent/pkg/config/problem"
)

// foreignQuotes are not quotes to JSON: single ones, and those that word processors make of double ones.
const foreignQuotes = "'\u2018\u2019\u201c\u201d\u201e"

var (
	// literal matches what JSON has beside strings, objects and lists.
	literal = regexp.MustCompile(`^(-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?|true|false|null)$`)
	// characters matches the content of a string. Of surrogates, which encoding/json takes as it finds them, there are only pairs.
	characters = regexp.MustCompile(`^([^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u([0-9abcefABCEF][0-9a-fA-F]{3}|[dD][0-7][0-9a-fA-F]{2})|` +
		`\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})*`)
	literalTags = map[string]string{"true": "!!bool", "false": "!!bool", "null": "!!null"}
	surrogate   = regexp.MustCompile(`^\\u[dD][0-9a-fA-F]{3}`)
)

// string reads a string in double quotes. It may be a key.
func (p *parser) string(n *yaml.Node, path string) bool {
	start := *p.scanner
	p.next()
	p.skipTo(p.offset + len(characters.FindString(p.rest())))
	switch half := surrogate.FindString(p.rest()); {
	case p.peek() == '"':
		p.next()
		n.Style = yaml.DoubleQuotedStyle
		return json.Unmarshal([]byte(p.text[start.offset:p.offset]), &n.Value) == nil
	case half != "":
		p.fail(p.position, path, "half of a surrogate pair", half, "a complete character")
	case p.peek() == '\\':
		sequence := []rune(p.rest() + " ")[:2]
		p.fail(p.position, path, "an unknown escape sequence", strings.TrimSpace(string(sequence)),
			`one of \" \\ \/ \b \f \n \r \t \uXXXX`).Suggestion = `write \\ for a backslash`
	case p.peek() == '\t':
		p.fail(p.position, path, "a tab inside of a string", "a tab", `\t`)
	default:
		p.fail(start.position, path, "the string has no closing quote", p.upcoming(), "'\"'")
	}
	return false
}

// badValue says what is wrong with what is not the beginning of a value.
func (p *parser) badValue(path string) {
	switch word := p.word(); {
	case p.peek() == ',':
		p.fail(p.position, path, "a comma too many", "','", "a value")
	case word != "" && strings.IndexByte("+-.0123456789", word[0]) >= 0:
		wrong := p.fail(p.position, path, "", p.upcoming(), "a number in decimal form, as in 10")
		if _, err := resource.ParseQuantity(problem.Shorten(word)); err == nil && unicode.IsLetter(rune(word[len(word)-1])) {
			wrong.Suggestion = problem.DidYouMean(problem.Quote(word))
		}
	default:
		p.fail(p.position, path, "", p.upcoming(), "a value").Suggestion = suggestValue(word)
	}
}

var nullWords = map[string]string{"none": "null", "nil": "null", "undefined": "null"}

func suggestValue(word string) string {
	near := problem.Nearest(word, []string{"true", "false", "null"})
	if meant := cmp.Or(near, nullWords[strings.ToLower(word)], BooleanWord(word)); meant != "" {
		return problem.DidYouMean(meant)
	}
	_, notNumber := strconv.ParseFloat(word, 64) // as NaN is
	if text := strings.Trim(word, foreignQuotes); notNumber != nil && problem.SimpleKey.MatchString(text) {
		return problem.DidYouMean(problem.Quote(text))
	}
	return ""
}

// word returns the characters up to the next one that ends a number or name.
func (p *parser) word() string {
	end := strings.IndexAny(p.rest(), " \t\r\n,:[]{}\"")
	if end < 0 {
		return p.rest()
	}
	return p.rest()[:end]
}

// upcoming describes what the parser is about to read.
func (p *parser) upcoming() string {
	switch char, _ := p.peekRune(); {
	case p.done():
		return "the end of the text"
	case char == '\n' || char == '\r':
		return "the end of the line"
	case char == '"':
		text, _, _ := strings.Cut(p.rest()[1:], `"`)
		text, _, _ = strings.Cut(text, "\n")
		return `"` + problem.Shorten(text) + `"`
	case !unicode.IsPrint(char):
		return fmt.Sprintf("the invisible character U+%04X", char)
	case p.word() != "":
		return problem.Shorten(p.word())
	default:
		return fmt.Sprintf("%q", char)
	}
}
