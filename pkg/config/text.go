package config

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxSize is what a ConfigMap can hold at most.
	maxSize       = 1 << 20
	byteOrderMark = "\uFEFF"
)

// readText checks that raw bytes are text that both parsers see in the same way: UTF-8 without control characters and
// with line ends that everybody counts alike. A leading byte order mark, as Windows editors write it, is dropped.
func readText(raw []byte) (string, *Problem) {
	if len(raw) > maxSize {
		return "", &Problem{
			Line: 1, Column: 1, Message: "the text is too large",
			Found: fmt.Sprintf("%d bytes", len(raw)), Expected: fmt.Sprintf("at most %d", maxSize),
		}
	}
	if strings.HasPrefix(string(raw), "\xff\xfe") || strings.HasPrefix(string(raw), "\xfe\xff") {
		return "", &Problem{Line: 1, Column: 1, Found: "text in UTF-16", Expected: "UTF-8", Suggestion: "save the file as UTF-8"}
	}
	text := strings.TrimPrefix(string(raw), byteOrderMark)
	scan := newScanner(text)
	for !scan.done() {
		if problem := checkCharacter(scan); problem != nil {
			problem.Line, problem.Column = scan.line, scan.column
			return "", problem
		}
		scan.next()
	}
	return text, nil
}

func checkCharacter(scan *scanner) *Problem {
	switch char, size := scan.peekRune(); {
	case char == utf8.RuneError && size == 1:
		return &Problem{Message: "the text is not UTF-8", Found: fmt.Sprintf("byte 0x%02x", scan.peek())}
	case char == '\n' || char == '\t' || char == '\r' && strings.HasPrefix(scan.rest(), "\r\n"):
		return nil
	case char == '\r':
		return &Problem{Found: "a carriage return without a line feed", Expected: "line feeds at the ends of lines"}
	// libyaml ends a line at these two, JSON does not: positions and meaning would differ.
	case unicode.IsControl(char) || char == '\u2028' || char == '\u2029':
		return &Problem{Found: fmt.Sprintf("control character U+%04X", char), Expected: "printable text"}
	case string(char) == byteOrderMark:
		return &Problem{Found: "a byte order mark (U+FEFF) inside of the text", Expected: "printable text"}
	default:
		return nil
	}
}

// scanner walks over text and knows where it is.
type scanner struct {
	text   string
	offset int
	position
}

func newScanner(text string) *scanner {
	return &scanner{text: text, position: position{line: 1, column: 1}}
}

func (s *scanner) done() bool { return s.offset >= len(s.text) }

func (s *scanner) rest() string { return s.text[s.offset:] }

// peek returns the next byte, 0 at the end.
func (s *scanner) peek() byte {
	if s.done() {
		return 0
	}
	return s.text[s.offset]
}

func (s *scanner) peekRune() (rune, int) { return utf8.DecodeRuneInString(s.rest()) }

// next steps over one character.
func (s *scanner) next() {
	char, size := s.peekRune()
	s.offset += size
	s.column++
	if char == '\n' {
		s.line++
		s.column = 1
	}
}

// skip steps over the given number of bytes, none of which ends a line.
func (s *scanner) skip(bytes int) {
	s.column += utf8.RuneCountInString(s.text[s.offset : s.offset+bytes])
	s.offset += bytes
}
