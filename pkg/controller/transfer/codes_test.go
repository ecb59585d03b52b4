package transfer

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// codeRow is a row of the table of codes.
var codeRow = regexp.MustCompile(`(?m)^\| ([A-Z]\w+) \| .+ \| .*\|$`)

var _ = Describe("docs/operations.md", func() {
	It("explains every code of a reason, and no other", func() {
		text, err := os.ReadFile("../../../docs/operations.md")
		Expect(err).NotTo(HaveOccurred())
		table, _, _ := strings.Cut(string(text), "\n## How it ended")
		var explained []string
		for _, row := range codeRow.FindAllStringSubmatch(table, -1) {
			explained = append(explained, row[1])
		}
		Expect(explained).To(ConsistOf(keys(codesOf(".", "../engine", "../dataupload", "../datadownload", "../../expose", "../../waiting"))...))
	})
})

// codesOf are the codes that the source of some packages gives to reasons.
func codesOf(folders ...string) map[string]bool {
	constants, used := map[string]string{}, map[string]bool{}
	var names []string
	for _, folder := range folders {
		files, err := filepath.Glob(folder + "/*.go")
		Expect(err).NotTo(HaveOccurred())
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
			Expect(err).NotTo(HaveOccurred())
			ast.Inspect(parsed, func(node ast.Node) bool {
				noteConstants(node, constants)
				if code := codeIn(node); code != nil {
					names = append(names, nameOf(code))
				}
				return true
			})
		}
	}
	for _, name := range names {
		if text, err := strconv.Unquote(name); err == nil {
			used[text] = true
		}
		if value, constant := constants[name]; constant { // else a parameter, whose argument is looked at
			used[value] = true
		}
	}
	return used
}

func noteConstants(node ast.Node, constants map[string]string) {
	spec, isValue := node.(*ast.ValueSpec)
	if !isValue {
		return
	}
	for i, name := range spec.Names {
		if i >= len(spec.Values) {
			continue
		}
		if literal, isLiteral := spec.Values[i].(*ast.BasicLit); isLiteral && literal.Kind == token.STRING {
			value, err := strconv.Unquote(literal.Value)
			Expect(err).NotTo(HaveOccurred())
			constants[name.Name] = value
		}
	}
}

// codeIn is the code that a piece of source gives to a reason: engine.Waitf(code, ...), Code: code, reason.Code = code, or the
// Event of clean-up.
func codeIn(node ast.Node) ast.Expr {
	switch n := node.(type) {
	case *ast.CallExpr:
		if nameOf(n.Fun) == "Waitf" {
			return n.Args[0]
		}
		if nameOf(n.Fun) == "Eventf" && len(n.Args) > 3 && !strings.HasPrefix(nameOf(n.Args[3]), `"`) {
			return n.Args[3] // a literal is the name of a step, no reason
		}
	case *ast.KeyValueExpr:
		if strings.HasSuffix(nameOf(n.Key), "Code") {
			return n.Value
		}
	case *ast.AssignStmt:
		if nameOf(n.Lhs[0]) == "Code" {
			return n.Rhs[0]
		}
	}
	return nil
}

func nameOf(expression ast.Expr) string {
	switch e := expression.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	case *ast.BasicLit:
		return e.Value
	default:
		return ""
	}
}

func keys(set map[string]bool) []any {
	var all []any
	for key := range set {
		all = append(all, key)
	}
	return all
}
