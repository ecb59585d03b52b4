// Command rooms draws the packages of node-agent, floor by floor: a package stands above all that it imports. With --check FILE
// it fails if the picture in FILE is another one, or if a room has become too large.
package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// A room that is larger than this is two rooms; generated code and tests do not count.
const (
	mostLines = 1800
	mostFiles = 24
)

// The picture in a document stands between these lines.
const (
	begin = "<!-- rooms: written by `make rooms` -->\n"
	end   = "<!-- end of rooms -->\n"
)

// room is a package as `go list -json` has it.
type room struct {
	ImportPath, Dir, Doc string
	GoFiles, Imports     []string
	Module               struct{ Path string }

	name  string
	floor int
	below []string // what it imports of ours, without what it reaches by another import
	files int
	lines int
}

func main() {
	check := flag.String("check", "", "fail unless this `file` holds the picture as it is now")
	write := flag.String("write", "", "put the picture into this `file`")
	flag.Parse()
	if err := run(*check, *write); err != nil {
		fmt.Fprintln(os.Stderr, "rooms:", err)
		os.Exit(1)
	}
}

func run(check, write string) error {
	rooms, err := list("./cmd/...", "./pkg/...")
	if err != nil {
		return err
	}
	plan := picture(rooms)
	switch {
	case check != "":
		return errors.Join(compare(check, plan), tooLarge(rooms))
	case write != "":
		return replace(write, plan)
	}
	_, err = fmt.Print(plan)
	return err
}

// list reads the packages and finds out how they stand.
func list(patterns ...string) (map[string]*room, error) {
	args := append([]string{"list", "-json=ImportPath,Dir,Doc,GoFiles,Imports,Module"}, patterns...)
	command := exec.CommandContext(context.Background(), "go", args...)
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("list packages: %w", err)
	}
	rooms := map[string]*room{}
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		r := &room{}
		if err := decoder.Decode(r); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("read what go list printed: %w", err)
		}
		r.name = strings.TrimPrefix(r.ImportPath, r.Module.Path+"/")
		if err := r.measure(); err != nil {
			return nil, err
		}
		rooms[r.ImportPath] = r
	}
	for _, r := range rooms {
		r.stand(rooms)
	}
	for _, r := range rooms {
		r.reduce(rooms)
	}
	return rooms, nil
}

// measure counts what people wrote.
func (r *room) measure() error {
	for _, file := range r.GoFiles {
		if strings.HasPrefix(file, "zz_generated") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(r.Dir, file))
		if err != nil {
			return err
		}
		r.files++
		r.lines += bytes.Count(text, []byte("\n"))
	}
	return nil
}

// stand puts a room above all that it imports. Go has no import cycles.
func (r *room) stand(rooms map[string]*room) int {
	if r.floor == 0 {
		r.floor = 1
		for _, path := range r.Imports {
			if other := rooms[path]; other != nil {
				r.floor = max(r.floor, other.stand(rooms)+1)
			}
		}
	}
	return r.floor
}

// reduce leaves out imports that another import reaches, too.
func (r *room) reduce(rooms map[string]*room) {
	for _, path := range r.Imports {
		if rooms[path] == nil {
			continue
		}
		if !slices.ContainsFunc(r.Imports, func(other string) bool { return other != path && reaches(rooms, other, path) }) {
			r.below = append(r.below, short(rooms[path].name))
		}
	}
	slices.Sort(r.below)
}

func reaches(rooms map[string]*room, from, to string) bool {
	return rooms[from] != nil && slices.ContainsFunc(rooms[from].Imports, func(path string) bool {
		return path == to || reaches(rooms, path, to)
	})
}

func short(name string) string { return strings.TrimPrefix(name, "pkg/") }

// picture draws the highest floor first.
func picture(rooms map[string]*room) string {
	all := make([]*room, 0, len(rooms))
	width := 0
	for _, r := range rooms {
		all = append(all, r)
		width = max(width, len(short(r.name)))
	}
	slices.SortFunc(all, func(a, b *room) int { return cmp.Or(b.floor-a.floor, strings.Compare(a.name, b.name)) })
	var out strings.Builder
	floor := 0
	for _, r := range all {
		label := ""
		if r.floor != floor {
			floor, label = r.floor, fmt.Sprint(r.floor)
		}
		name := short(r.name)
		lines := wrap(r.purpose())
		if len(r.below) > 0 {
			lines = append(lines, wrap("-> "+strings.Join(r.below, ", "))...)
		}
		for _, line := range lines {
			fmt.Fprintf(&out, "%2s  %-*s  %s\n", label, width, name, line)
			label, name = "", ""
		}
	}
	return out.String()
}

// wrap breaks a text into lines that fit beside the names.
func wrap(text string) []string {
	const columns = 100
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(word) > columns {
			lines, line = append(lines, line), ""
		}
		line = strings.TrimSpace(line + " " + word)
	}
	return append(lines, line)
}

// purpose is the first sentence of the package's comment, without the words that all begin with.
func (r *room) purpose() string {
	words := strings.Fields(strings.TrimSuffix(r.Doc, "."))
	if len(words) > 2 && (words[0] == "Package" || words[0] == "Command") {
		words = words[2:]
	}
	return strings.Join(words, " ")
}

// tooLarge names the rooms that are.
func tooLarge(rooms map[string]*room) error {
	var problems []error
	for _, r := range rooms {
		if r.lines > mostLines || r.files > mostFiles {
			problems = append(problems, fmt.Errorf("%s has %d lines in %d files; at most %d in %d are one concern",
				r.name, r.lines, r.files, mostLines, mostFiles))
		}
	}
	slices.SortFunc(problems, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(problems...)
}

// compare fails if the document holds another picture.
func compare(file, plan string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if before, after, err := around(file, string(text)); err != nil {
		return err
	} else if before+framed(plan)+after != string(text) {
		return fmt.Errorf("the rooms in %s are not as they are now: `make rooms` writes them", file)
	}
	return nil
}

// replace puts the picture into the document.
func replace(file, plan string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before, after, err := around(file, string(text))
	if err != nil {
		return err
	}
	return os.WriteFile(file, []byte(before+framed(plan)+after), 0o644) //nolint:gosec // a document is for everybody
}

// around returns what stands before and after the picture.
func around(file, text string) (before, after string, err error) {
	before, rest, found := strings.Cut(text, begin)
	if !found {
		return "", "", fmt.Errorf("%s has no line %q", file, strings.TrimSpace(begin))
	}
	if _, after, found = strings.Cut(rest, end); !found {
		return "", "", fmt.Errorf("%s has no line %q", file, strings.TrimSpace(end))
	}
	return before, after, nil
}

func framed(plan string) string { return begin + "```\n" + plan + "```\n" + end }
