package config

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
)

// foreignQuotes are not quotes to JSON: single ones, and those that word processors make of double ones.
const foreignQuotes = "'\u2018\u2019\u201c\u201d\u201e"

var (
	jsonNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$`)
	jsonEscape = regexp.MustCompile(`^\\(["\\/bfnrt]|u[0-9a-fA-F]{4})`)
)

// quoted reads a string in double quotes and returns its content.
func (p *jsonParser) quoted() (string, *Problem) {
	start, begin := p.position, p.offset
	p.next()
	for p.peek() != '"' {
		switch char := p.peek(); {
		case p.done() || char == '\n' || char == '\r':
			return "", p.fail(start, "the string has no closing quote", p.upcoming(), "'\"'")
		case char == '\t':
			return "", p.fail(p.position, "a tab inside of a string", "a tab", `\t`)
		case char == '\\':
			if problem := p.escape(); problem != nil {
				return "", problem
			}
		default:
			p.next()
		}
	}
	p.next()
	var content string
	if err := json.Unmarshal([]byte(p.text[begin:p.offset]), &content); err != nil {
		return "", p.fail(start, "the string cannot be read: "+err.Error(), "", "")
	}
	return content, nil
}

// escape reads one escape sequence, or two if they are a surrogate pair.
func (p *jsonParser) escape() *Problem {
	at := p.position
	sequence := jsonEscape.FindString(p.rest())
	if sequence == "" {
		p.skip(1)
		_, size := p.peekRune()
		problem := p.fail(at, "an unknown escape sequence", strings.TrimSpace(`\`+p.rest()[:size]),
			`one of \" \\ \/ \b \f \n \r \t \uXXXX`)
		problem.Suggestion = `write \\ for a backslash`
		return problem
	}
	p.skip(len(sequence))
	char := codeUnit(sequence)
	if !utf16.IsSurrogate(char) {
		return nil
	}
	second := jsonEscape.FindString(p.rest())
	if utf16.DecodeRune(char, codeUnit(second)) == unicode.ReplacementChar {
		return p.fail(at, "half of a surrogate pair", sequence, "a complete character")
	}
	p.skip(len(second))
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

func (p *jsonParser) number() (*node, *Problem) {
	at, word := p.position, p.word()
	if !jsonNumber.MatchString(word) {
		problem := p.fail(at, "", shorten(word), "a number in decimal form, as in 10")
		if _, ok := parseQuantity(word); ok && unicode.IsLetter(rune(word[len(word)-1])) {
			problem.Suggestion = didYouMean(quote(word))
		}
		return nil, problem
	}
	p.skip(len(word))
	return &node{position: at, kind: numberKind, text: word}, nil
}

func (p *jsonParser) literal() (*node, *Problem) {
	at, word := p.position, p.word()
	switch word {
	case "true", "false":
		p.skip(len(word))
		return &node{position: at, kind: booleanKind, text: word}, nil
	case "null":
		p.skip(len(word))
		return &node{position: at, kind: nullKind}, nil
	}
	problem := p.fail(at, "", p.upcoming(), "a value")
	if p.peek() == ',' {
		problem.Message = "a comma too many"
	}
	if problem.Suggestion == "" {
		problem.Suggestion = literalSuggestion(word)
	}
	return nil, problem
}

func literalSuggestion(word string) string {
	literal := nearest(word, []string{"true", "false", "null"})
	switch lower := strings.ToLower(word); {
	case word == "" || lower == "nan" || strings.HasPrefix(lower, "inf"):
		return ""
	case literal != "":
		return didYouMean(literal)
	case lower == "none" || lower == "nil" || lower == "undefined":
		return didYouMean("null")
	case booleanWords[lower] != "":
		return didYouMean(booleanWords[lower])
	case simpleKey.MatchString(strings.Trim(word, foreignQuotes)):
		return didYouMean(quote(strings.Trim(word, foreignQuotes)))
	default:
		return ""
	}
}

// word returns the characters up to the next one that ends a number or name.
func (p *jsonParser) word() string {
	end := strings.IndexAny(p.rest(), " \t\r\n,:[]{}\"")
	if end < 0 {
		return p.rest()
	}
	return p.rest()[:end]
}

// upcoming describes what the parser is about to read.
func (p *jsonParser) upcoming() string {
	switch char := p.peek(); {
	case p.done():
		return "the end of the text"
	case char == '\n' || char == '\r':
		return "the end of the line"
	case char == '"':
		if end := strings.IndexAny(p.rest()[1:], "\"\n"); end > 0 {
			return fmt.Sprintf("\"%s\"", shorten(p.rest()[1:1+end]))
		}
		return `'"'`
	case p.word() != "":
		if first, _ := p.peekRune(); !unicode.IsPrint(first) {
			return fmt.Sprintf("the invisible character U+%04X", first)
		}
		return shorten(p.word())
	default:
		return fmt.Sprintf("%q", char)
	}
}
