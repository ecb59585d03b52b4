package config

import (
	"fmt"
	"math"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// checker holds a document against the schema and collects all that is wrong or doubtful.
type checker struct {
	// tolerant lets unknown keys pass with a warning.
	tolerant bool

	problems []Problem
	warnings []Problem
	// unknownKeys are those of the warnings that are about a key.
	unknownKeys []Problem
}

func (c *checker) problem(at position, p Problem) {
	p.Line, p.Column = at.line, at.column
	c.problems = append(c.problems, p)
}

func (c *checker) warn(at position, path, message string) {
	c.warnings = append(c.warnings, Problem{Line: at.line, Column: at.column, Path: path, Message: message})
}

func (c *checker) check(n *node, s *schema, path string) {
	if n.kind == refusedKind {
		return
	}
	if n.kind != s.kind || n.legacy {
		c.problem(n.position, Problem{
			Path: path, Found: n.describe(), Expected: s.what, Suggestion: retype(n, s),
		})
		return
	}
	switch s.kind {
	case objectKind:
		c.checkObject(n, s, path)
	case listKind:
		for i, item := range n.items {
			c.check(item, s.each, joinIndex(path, i))
		}
	case stringKind:
		c.checkText(n, s.rule, path)
	case numberKind:
		c.checkNumber(n, s, path)
	default:
	}
	if s.cross != nil {
		s.cross(c, n, path)
	}
}

func (c *checker) checkObject(n *node, s *schema, path string) {
	seen := map[string]position{}
	var misspelled []string
	refused := false
	for i := range n.members {
		m := &n.members[i]
		if m.ignored {
			refused = true
			if s.each != nil {
				c.checkFreeValue(m.value, s, joinKey(path, m.key))
			}
			continue
		}
		if first, found := seen[m.key]; found {
			c.problem(m.position, Problem{
				Path: joinKey(path, m.key), Message: fmt.Sprintf("duplicate key, the first one is at %d:%d", first.line, first.column),
			})
		} else {
			seen[m.key] = m.position
		}
		if s.each != nil {
			c.checkFree(*m, s, path)
		} else if meant := c.checkField(n, m, s, path); meant != nil {
			misspelled = append(misspelled, meant.name)
		}
	}
	for _, f := range s.fields {
		if f.required && !refused && n.get(f.name) == nil && !slices.Contains(misspelled, f.name) {
			c.problem(n.position, Problem{Path: path, Message: fmt.Sprintf("key %q is missing", f.name), Expected: f.value.what})
		}
	}
}

// checkField checks one key of an object with known keys. If the key is unknown it returns the one that is meant.
func (c *checker) checkField(n *node, m *member, s *schema, path string) *field {
	at := joinKey(path, m.key)
	f := s.field(m.key)
	if f == nil {
		return c.checkUnknown(n, m, s, at)
	}
	c.checkKnown(*m, f, at)
	return nil
}

func (c *checker) checkKnown(m member, f *field, at string) {
	// Null stands for an absent key, as encoding/json and thus Velero have it.
	if m.value.kind == nullKind {
		return
	}
	if f.inert {
		c.warn(m.position, at, "checked, but without effect")
	}
	c.check(m.value, f.value, at)
}

// checkFree checks one key of a map.
func (c *checker) checkFree(m member, s *schema, path string) {
	at := joinKey(path, m.key)
	validKey := s.keyRule.valid(m.key)
	if s.each.field(m.key) != nil && (!validKey || m.value.kind != objectKind) {
		c.problem(m.position, Problem{
			Path: at, Message: "misplaced key", Found: m.key, Expected: s.keyRule.expected,
			Suggestion: fmt.Sprintf("move it to %s.%s.%s", path, s.keyName, m.key),
		})
		return
	}
	c.checkAgainst(s.keyRule, m.key, m.position, at)
	c.checkFreeValue(m.value, s, at)
}

func (c *checker) checkFreeValue(n *node, s *schema, at string) {
	// An entry that is null has no settings; a label or annotation that is null has no value.
	if n.kind != nullKind || s.each.kind != objectKind {
		c.check(n, s.each, at)
	}
}

func (c *checker) checkText(n *node, r *rule, path string) {
	c.checkAgainst(r, n.text, n.position, path)
}

func (c *checker) checkAgainst(r *rule, text string, at position, path string) {
	if !r.valid(text) {
		c.problem(at, r.broken(text, path))
		return
	}
	if r.doubt == nil {
		return
	}
	if doubt := r.doubt(text); doubt != "" {
		c.warn(at, path, doubt)
	}
}

func (r *rule) broken(text, path string) Problem {
	problem := Problem{Path: path, Found: quote(text), Expected: r.expected}
	if r.near != nil {
		if near := r.near(text); near != "" {
			problem.Suggestion = didYouMean(quote(near))
		}
	}
	return problem
}

var wholeNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)

func (c *checker) checkNumber(n *node, s *schema, path string) {
	value, err := strconv.ParseInt(n.text, 10, 64)
	problem := Problem{Path: path, Found: shorten(n.text), Expected: s.what}
	switch {
	case !wholeNumber.MatchString(n.text):
		problem.Suggestion = wholeSuggestion(n.text, s.minimum)
	case err == nil && value < s.minimum:
	case err != nil || value > math.MaxInt32:
		problem.Expected = fmt.Sprintf("%s and at most %d", s.what, math.MaxInt32)
	default:
		return
	}
	c.problem(n.position, problem)
}

// wholeSuggestion writes 1e3 or 2.0 as the whole number that it is. 010 may be ten or eight, so there is no guess.
func wholeSuggestion(text string, minimum int64) string {
	if !jsonNumber.MatchString(text) || len(text) > maxShown || strings.Contains(text, "e-") {
		return ""
	}
	value, err := strconv.ParseFloat(text, 64)
	if err != nil || value != math.Trunc(value) || value < float64(minimum) || value > math.MaxInt32 {
		return ""
	}
	whole, _ := big.NewFloat(value).Int(nil)
	return didYouMean(whole.String())
}

// retype suggests how a value of the wrong type may be meant.
func retype(n *node, s *schema) string {
	switch s.kind {
	case stringKind:
		if isScalar := n.legacy || n.kind == numberKind || n.kind == booleanKind; isScalar && s.rule.valid(n.text) {
			return didYouMean(quote(n.text))
		}
	case booleanKind:
		return booleanSuggestion(n)
	case numberKind:
		if _, err := strconv.ParseUint(n.text, 10, 31); err == nil && n.kind == stringKind && wholeNumber.MatchString(n.text) {
			return didYouMean(n.text + " without quotes")
		}
	case listKind:
		return listSuggestion(n, s)
	case objectKind:
		return objectSuggestion(n)
	default:
	}
	return ""
}

func listSuggestion(n *node, s *schema) string {
	switch {
	case n.kind == stringKind && s.each.kind == stringKind:
		return didYouMean("[" + quote(n.text) + "]")
	case n.kind == objectKind && s.each.kind == objectKind:
		return "put the object into a list: [{...}]"
	default:
		return ""
	}
}

func objectSuggestion(n *node) string {
	if strings.Contains(n.text, "\n") {
		return "write the settings themselves, without '|' or quotes"
	}
	if key, value, found := strings.Cut(n.text, ":"); found && value != "" && simpleKey.MatchString(key) {
		return didYouMean(key + ": " + shorten(value))
	}
	if n.kind == listKind && len(n.items) == 1 && n.items[0].kind == objectKind {
		return "remove the list around the object"
	}
	return ""
}

func booleanSuggestion(n *node) string {
	text := strings.ToLower(n.text)
	switch {
	case n.kind == stringKind && (text == "true" || text == "false"):
		return didYouMean(text + " without quotes")
	case n.kind == stringKind && booleanWords[text] != "":
		return didYouMean(booleanWords[text])
	case n.kind == numberKind && text == "1":
		return didYouMean("true")
	case n.kind == numberKind && text == "0":
		return didYouMean("false")
	default:
		return ""
	}
}
