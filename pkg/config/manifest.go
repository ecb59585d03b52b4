package config

import (
	"fmt"
	"regexp"
	"strings"
)

// CheckFile checks a file with a configuration, or with the manifest of the ConfigMap that holds one. Positions are those
// in the file wherever the text of the configuration stands in it as it is.
func (d Decoder) CheckFile(name string, raw []byte) *Document {
	text, problem := readText(raw)
	if problem != nil || isBlankText(text) {
		return d.Check(name, raw)
	}
	manifests, problems := manifestsIn(text)
	if len(manifests) == 0 {
		return d.Check(name, raw)
	}
	if len(problems) > 0 {
		return &Document{Source: name, Problems: problems}
	}
	var configMaps []manifest
	for _, m := range manifests {
		if m.kind() == "ConfigMap" {
			configMaps = append(configMaps, m)
		}
	}
	if len(configMaps) != 1 {
		return &Document{Source: name, Problems: []Problem{wrongManifests(manifests, configMaps)}}
	}
	return d.checkManifestOf(name, text, configMaps[0])
}

// manifest is a Kubernetes object in a file.
type manifest struct {
	*node
	// lines is how many lines of the file come before the document that the object is in.
	lines int
}

func (m manifest) kind() string { return m.text("kind") }

func (m manifest) text(key string) string {
	if value := m.get(key); value != nil {
		return value.text
	}
	return ""
}

func (m manifest) name() string {
	if metadata := m.get("metadata"); metadata != nil {
		return manifest{node: metadata}.text("name")
	}
	return ""
}

// manifestsIn finds the Kubernetes objects in a text: there may be several documents, and lists of objects.
func manifestsIn(text string) (found []manifest, problems []Problem) {
	lines := 0
	for _, document := range documentsOf(text) {
		if !isBlankText(document) {
			tree, wrong := parse([]byte(document))
			shift{lines: lines}.move(wrong)
			problems = append(problems, wrong...)
			if tree != nil {
				found = append(found, objectsIn(manifest{tree, lines})...)
			}
		}
		lines += strings.Count(document, "\n")
	}
	return found, problems
}

var documentStart = regexp.MustCompile(`(?m)^---(\s|$)`)

// documentsOf splits YAML at the lines that begin another document. Each part ends before its successor's marker.
func documentsOf(text string) []string {
	if looksLikeJSON(text) {
		return []string{text}
	}
	var documents []string
	begin := 0
	for _, marker := range documentStart.FindAllStringIndex(text, -1) {
		documents = append(documents, text[begin:marker[0]])
		begin = marker[0]
	}
	return append(documents, text[begin:])
}

func objectsIn(m manifest) []manifest {
	if m.get("apiVersion") == nil || m.get("kind") == nil {
		return nil
	}
	items := m.get("items")
	if items == nil || !strings.HasSuffix(m.kind(), "List") {
		return []manifest{m}
	}
	var found []manifest
	for _, item := range items.items {
		found = append(found, objectsIn(manifest{item, m.lines})...)
	}
	return found
}

func wrongManifests(all, configMaps []manifest) Problem {
	if len(configMaps) == 0 {
		return Problem{
			Line: all[0].line + all[0].lines, Column: all[0].column,
			Found: "a Kubernetes manifest of kind " + shorten(all[0].kind()), Expected: "a ConfigMap, or the configuration alone",
		}
	}
	names := make([]string, 0, len(configMaps))
	for _, m := range configMaps {
		names = append(names, m.name())
	}
	second := configMaps[1]
	return Problem{
		Line: second.line + second.lines, Column: second.column,
		Found: fmt.Sprintf("%d ConfigMaps (%s)", len(names), quoteAll(names)), Expected: "exactly one",
	}
}

// checkManifestOf checks the configuration in the manifest of a ConfigMap.
func (d Decoder) checkManifestOf(name, text string, m manifest) *Document {
	inManifest := func(at position, p Problem) *Document {
		p.Line, p.Column = at.line+m.lines, at.column
		return &Document{Source: name, Problems: []Problem{p}}
	}
	data := m.get("data")
	at := m.position
	if data != nil {
		at = data.position
	}
	key, problem := onlyKey(keysOf(m.get("binaryData")), keysOf(data))
	if problem != nil {
		return inManifest(at, *problem)
	}
	value := data.get(key)
	if value == nil || value.kind != stringKind {
		wrong := Problem{Path: joinKey("data", key), Found: "no text", Expected: "the configuration as text"}
		if value != nil {
			wrong.Found, at = value.describe(), value.position
		}
		wrong.Suggestion = "write " + shorten(key) + ": | and indent the configuration below it"
		return inManifest(at, wrong)
	}
	document := d.Check(name, []byte(value.text))
	document.Key = key
	start := position{line: value.line + m.lines, column: value.column}
	moved, found := locate(value.text, start, strings.Split(text, "\n"))
	if !found {
		// As in JSON, where the whole text is one string: positions count in the value.
		document.Source = name + ", key " + key
		return document
	}
	document.shift = moved
	moved.move(document.Problems)
	moved.move(document.Warnings)
	return document
}

func keysOf(n *node) []string {
	if n == nil {
		return nil
	}
	keys := make([]string, 0, len(n.members))
	for _, m := range n.members {
		keys = append(keys, m.key)
	}
	return keys
}

// locate finds how far the text of a value, which begins at a place in a file, is moved against its position in the file.
// It fails if the file has the text in another form, as with escape sequences.
func locate(value string, start position, file []string) (shift, bool) {
	if start.line < 1 || start.line > len(file) {
		return shift{}, false
	}
	if moved, found := locateOnLine(value, start, file[start.line-1]); found {
		return moved, true
	}
	return locateBlock(value, start.line, file)
}

func locateOnLine(value string, start position, line string) (shift, bool) {
	characters := []rune(line)
	if start.column > len(characters) {
		return shift{}, false
	}
	rest := string(characters[start.column-1:])
	for _, quotes := range []string{"", "'", `"`} {
		if strings.HasPrefix(rest, quotes+value+quotes) {
			return shift{lines: start.line - 1, columns: start.column - 1 + len(quotes)}, true
		}
	}
	return shift{}, false
}

// locateBlock looks for a value below the line that ends in '|', where each line has the same indentation.
func locateBlock(value string, start int, file []string) (shift, bool) {
	indentation := -1
	for i, line := range strings.Split(value, "\n") {
		inFile := ""
		if start+i < len(file) {
			inFile = strings.TrimSuffix(file[start+i], "\r")
		}
		if line == "" && strings.Trim(inFile, blanks) == "" {
			continue
		}
		if indentation < 0 {
			indentation = len(inFile) - len(line)
		}
		if indentation < 0 || inFile != strings.Repeat(" ", indentation)+line {
			return shift{}, false
		}
	}
	return shift{lines: start, columns: indentation}, indentation >= 0
}
