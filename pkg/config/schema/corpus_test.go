package schema_test

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/node-agent/node-agent/pkg/config"
	"github.com/node-agent/node-agent/pkg/config/problem"
	"github.com/node-agent/node-agent/pkg/config/schema"
)

// Run the tests with -update to write the expectations anew. Read the difference: it is what people will see.
var update = flag.Bool("update", false, "write the .want files of the corpus")

const source = "config"

// positioned is how every line of a message begins.
const positioned = `^config:[1-9][0-9]*:[1-9][0-9]*: .`

var _ = Describe("the corpus", func() {
	DescribeTable("of broken documents", func(file string) {
		text := read(file)
		cfg, err := schema.Decoder{}.Decode(source, text)
		Expect(cfg).To(BeNil())
		invalid, ok := errors.AsType[*problem.Error](err)
		Expect(ok).To(BeTrue(), "%v", err)
		lines := strings.Split(invalid.Error(), "\n")
		for i, problem := range invalid.Problems {
			Expect(lines[i]).To(MatchRegexp(positioned))
			Expect(problem.Line).To(BeNumerically("<=", strings.Count(string(text), "\n")+1))
		}
		compare(file, invalid.Error()+"\n")
	}, entries("testdata/invalid", 120))

	DescribeTable("of valid documents", func(file string) {
		checked := schema.Decoder{}.Check(source, read(file))
		Expect(checked.Err()).NotTo(HaveOccurred())
		warnings := problem.Lines(source, checked.Warnings)
		got, err := json.MarshalIndent(map[string]any{"config": withoutNulls(checked.Config), "warnings": warnings}, "", "  ")
		Expect(err).NotTo(HaveOccurred())
		compare(file, string(got)+"\n")
	}, entries("testdata/valid", 20))
})

func entries(dir string, atLeast int) []TableEntry {
	files, err := filepath.Glob(dir + "/*")
	if err != nil {
		panic(err)
	}
	files = slices.DeleteFunc(files, func(file string) bool { return filepath.Ext(file) == ".want" })
	if len(files) < atLeast {
		panic(dir + " has too few documents: is it complete?")
	}
	table := make([]TableEntry, 0, len(files))
	for _, file := range files {
		table = append(table, Entry(filepath.Base(file), file))
	}
	return table
}

func read(file string) []byte {
	GinkgoHelper()
	text, err := os.ReadFile(file)
	Expect(err).NotTo(HaveOccurred())
	return text
}

func compare(file, got string) {
	GinkgoHelper()
	want := file + ".want"
	if *update {
		Expect(os.WriteFile(want, []byte(got), 0o644)).To(Succeed())
	}
	Expect(got).To(Equal(string(read(want))))
}

// withoutNulls keeps only what a configuration sets, so that the expectations stay readable.
func withoutNulls(cfg *config.Config) any {
	GinkgoHelper()
	encoded, err := json.Marshal(cfg)
	Expect(err).NotTo(HaveOccurred())
	var plain any
	Expect(json.Unmarshal(encoded, &plain)).To(Succeed())
	return prune(plain)
}

func prune(value any) any {
	switch value := value.(type) {
	case map[string]any:
		for key, child := range value {
			switch child = prune(child); child {
			case nil, false, "", "0", 0.0:
				delete(value, key)
			default:
				value[key] = child
			}
		}
	case []any:
		for i := range value {
			value[i] = prune(value[i])
		}
	}
	return value
}
