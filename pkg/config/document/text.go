package document

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/node-agent/node-agent/pkg/config/problem"
)

const (
	// maxSize is what a ConfigMap can hold at most.
	maxSize       = 1 << 20
	byteOrderMark = "\uFEFF"
)

// readText checks that raw bytes are text that both parsers see in the same way: UTF-8 without control characters and
// with line ends that everybody counts alike. A leading byte order mark, as Windows editors write it, is dropped.
func readText(raw []byte) (string, *problem.Problem) {
	if len(raw) > maxSize {
		return "", &problem.Problem{
			Line: 1, Column: 1, Message: "the text is too large",
			Found: fmt.Sprintf("%d bytes", len(raw)), Expected: fmt.Sprintf("at most %d", maxSize),
		}
	}
	if strings.HasPrefix(string(raw), "\xff\xfe") || strings.HasPrefix(string(raw), "\xfe\xff") {
		return "", &problem.Problem{Line: 1, Column: 1, Found: "text in UTF-16", Expected: "UTF-8", Suggestion: "save the file as UTF-8"}
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

func checkCharacter(scan *scanner) *problem.Problem {
	switch char, size := scan.peekRune(); {
	case char == utf8.RuneError && size == 1:
		return &problem.Problem{Message: "the text is not UTF-8", Found: fmt.Sprintf("byte 0x%02x", scan.peek())}
	case char == '\n' || char == '\t' || char == '\r' && strings.HasPrefix(scan.rest(), "\r\n"):
		return nil
	case char == '\r':
		return &problem.Problem{Found: "a carriage return without a line feed", Expected: "line feeds at the ends of lines"}
	// libyaml ends a line at these two, JSON does not: positions and meaning would differ.
	case unicode.IsControl(char) || char == '\u2028' || char == '\u2029':
		return &problem.Problem{Found: fmt.Sprintf("control character U+%04X", char), Expected: "printable text"}
	case string(char) == byteOrderMark:
		return &problem.Problem{Found: "a byte order mark (U+FEFF) inside of the text", Expected: "printable text"}
	default:
		return nil
	}
}

// position is a place in a text; both count from 1, the column in characters.
type position struct{ line, column int }

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
	if s.column++; char == '\n' {
		s.line, s.column = s.line+1, 1
	}
	s.offset += size
}

// skipAny steps over all of the given characters that come next.
func (s *scanner) skipAny(chars string) {
	for !s.done() && strings.IndexByte(chars, s.peek()) >= 0 {
		s.next()
	}
}

// skipTo steps over all that is before an offset.
func (s *scanner) skipTo(offset int) {
	for s.offset < offset {
		s.next()
	}
}
