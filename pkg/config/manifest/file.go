// Package manifest finds the configuration in a ConfigMap, or in a file with the manifest of one.
package manifest

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/node-agent/node-agent/pkg/config/document"
	"github.com/node-agent/node-agent/pkg/config/problem"
	"github.com/node-agent/node-agent/pkg/config/schema"
)

// CheckFile checks a file with a configuration, or with the manifest of the ConfigMap that holds one. Positions are those
// in the file wherever the text of the configuration stands in it as it is.
func CheckFile(decoder schema.Decoder, name string, raw []byte) *schema.Checked {
	documents, problems := document.ParseAll(raw)
	var objects, configMaps []*yaml.Node
	for _, tree := range documents {
		objects = append(objects, objectsIn(tree)...)
	}
	if len(objects) == 0 {
		return decoder.Check(name, raw)
	}
	if len(problems) > 0 {
		return &schema.Checked{Source: name, Problems: problems}
	}
	for _, object := range objects {
		if document.Text(object, "kind") == "ConfigMap" {
			configMaps = append(configMaps, object)
		}
	}
	if len(configMaps) != 1 {
		return &schema.Checked{Source: name, Problems: []problem.Problem{wrongObjects(objects, configMaps)}}
	}
	return checkObject(decoder, name, raw, configMaps[0])
}

// objectsIn finds the Kubernetes objects in a document, which may be a list of them.
func objectsIn(tree *yaml.Node) []*yaml.Node {
	if document.Get(tree, "apiVersion") == nil || document.Get(tree, "kind") == nil {
		return nil
	}
	items := document.Get(tree, "items")
	if items == nil || !strings.HasSuffix(document.Text(tree, "kind"), "List") {
		return []*yaml.Node{tree}
	}
	var found []*yaml.Node
	for _, item := range document.Items(items) {
		found = append(found, objectsIn(item)...)
	}
	return found
}

func wrongObjects(all, configMaps []*yaml.Node) problem.Problem {
	if len(configMaps) == 0 {
		return problem.Problem{
			Line: all[0].Line, Column: all[0].Column,
			Found:    "a Kubernetes manifest of kind " + problem.Shorten(document.Text(all[0], "kind")),
			Expected: "a ConfigMap, or the configuration alone",
		}
	}
	names := make([]string, 0, len(configMaps))
	for _, object := range configMaps {
		name := ""
		if metadata := document.Get(object, "metadata"); metadata != nil {
			name = document.Text(metadata, "name")
		}
		names = append(names, name)
	}
	second := configMaps[1]
	return problem.Problem{
		Line: second.Line, Column: second.Column,
		Found: fmt.Sprintf("%d ConfigMaps (%s)", len(names), quoteAll(names)), Expected: "exactly one",
	}
}

// checkObject checks the configuration in the manifest of a ConfigMap.
func checkObject(decoder schema.Decoder, name string, raw []byte, object *yaml.Node) *schema.Checked {
	wrongAt := func(at *yaml.Node, wrong problem.Problem) *schema.Checked {
		wrong.Line, wrong.Column = at.Line, at.Column
		return &schema.Checked{Source: name, Problems: []problem.Problem{wrong}}
	}
	data, at := document.Get(object, "data"), object
	if data != nil {
		at = data
	}
	key, wrong := onlyKey(keysOf(document.Get(object, "binaryData")), keysOf(data))
	if wrong != nil {
		return wrongAt(at, *wrong)
	}
	value := document.Get(data, key)
	if value == nil || document.KindOf(value) != document.String {
		wrong := problem.Problem{Path: problem.Path("data", key), Found: "no text", Expected: "the configuration as text"}
		if value != nil {
			wrong.Found, at = document.Describe(value), value
		}
		wrong.Suggestion = "write " + problem.Shorten(key) + ": | and indent the configuration below it"
		return wrongAt(at, wrong)
	}
	checked := decoder.Check(name, []byte(value.Value))
	checked.Key = key
	lines, columns, found := locate(value, strings.Split(strings.TrimPrefix(string(raw), "\uFEFF"), "\n"))
	if !found {
		// As in JSON, where the whole text is one string: positions count in the value.
		checked.Source = name + ", key " + key
		return checked
	}
	checked.Move(lines, columns)
	return checked
}

func keysOf(object *yaml.Node) []string {
	if object == nil {
		return nil
	}
	var keys []string
	for key := range document.Members(object) {
		keys = append(keys, key.Value)
	}
	return keys
}

// locate finds how far the text of a value, which begins at a place in a file, is moved against its position in the file.
// It fails if the file has the text in another form, as with escape sequences.
func locate(value *yaml.Node, file []string) (lines, columns int, found bool) {
	if value.Line < 1 || value.Line > len(file) {
		return 0, 0, false
	}
	if columns, found := locateOnLine(value, file[value.Line-1]); found {
		return value.Line - 1, columns, true
	}
	columns, found = locateBlock(value.Value, value.Line, file)
	return value.Line, columns, found
}

func locateOnLine(value *yaml.Node, line string) (columns int, found bool) {
	characters := []rune(line)
	if value.Column > len(characters) {
		return 0, false
	}
	rest := string(characters[value.Column-1:])
	for _, quotes := range []string{"", "'", `"`} {
		if strings.HasPrefix(rest, quotes+value.Value+quotes) {
			return value.Column - 1 + len(quotes), true
		}
	}
	return 0, false
}

// locateBlock looks for a value below the line that ends in '|', where each line has the same indentation.
func locateBlock(value string, start int, file []string) (indentation int, found bool) {
	indentation = -1
	for i, line := range strings.Split(value, "\n") {
		inFile := ""
		if start+i < len(file) {
			inFile = strings.TrimSuffix(file[start+i], "\r")
		}
		if line == "" && strings.Trim(inFile, " \t\r") == "" {
			continue
		}
		if indentation < 0 {
			indentation = len(inFile) - len(line)
		}
		if indentation < 0 || inFile != strings.Repeat(" ", indentation)+line {
			return 0, false
		}
	}
	return indentation, indentation >= 0
}
