package schema_test

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/node-agent/node-agent/pkg/config"
	"github.com/node-agent/node-agent/pkg/config/manifest"
	"github.com/node-agent/node-agent/pkg/config/schema"
)

const docs = "../../../docs/configuration.md"

var _ = Describe("the schema", func() {
	It("knows exactly the keys of Config", func() {
		var known []string
		for _, setting := range schema.Settings() {
			known = append(known, setting.Path)
		}
		Expect(known).To(ConsistOf(structPaths(reflect.TypeFor[config.Config](), "")))
	})

	It("is documented in full, and honestly about what has an effect", func() {
		text, err := os.ReadFile(docs)
		Expect(err).NotTo(HaveOccurred())
		row := regexp.MustCompile("(?m)^\\| `([^`]+)` \\|.*\\| (yes|no) \\|$")
		documented := map[string]string{}
		for _, match := range row.FindAllStringSubmatch(string(text), -1) {
			Expect(documented).NotTo(HaveKey(match[1]), "documented twice")
			documented[match[1]] = match[2]
		}
		Expect(documented).To(Equal(effects()))
	})

	It("accepts every example of the documentation", func() {
		text, err := os.ReadFile(docs)
		Expect(err).NotTo(HaveOccurred())
		examples := regexp.MustCompile("(?ms)^```(json|yaml)\n(.*?)^```$").FindAllStringSubmatch(string(text), -1)
		Expect(len(examples)).To(BeNumerically(">", 10))
		for _, example := range examples {
			_, err := schema.Decoder{}.Decode(docs, []byte(example[2]))
			Expect(err).NotTo(HaveOccurred(), example[2])
		}
	})

	It("shows every setting in an example of the documentation", func() {
		text, err := os.ReadFile(docs)
		Expect(err).NotTo(HaveOccurred())
		var shown []string
		for _, example := range regexp.MustCompile("(?ms)^```(?:json|yaml)\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
			var document any
			Expect(yaml.Unmarshal([]byte(example[1]), &document)).To(Succeed())
			shown = append(shown, valuePaths(document, "")...)
		}
		for path := range effects() {
			Expect(shown).To(ContainElement(path))
		}
	})

	It("accepts every sample ConfigMap without a warning", func() {
		files, err := filepath.Glob("../../../config/samples/*configmap*.yaml")
		Expect(err).NotTo(HaveOccurred())
		Expect(files).NotTo(BeEmpty())
		for _, file := range files {
			text, err := os.ReadFile(file)
			Expect(err).NotTo(HaveOccurred())
			var cm corev1.ConfigMap
			Expect(yaml.UnmarshalStrict(text, &cm)).To(Succeed())
			checked := manifest.CheckConfigMap(schema.Decoder{}, &cm)
			Expect(checked.Err()).NotTo(HaveOccurred())
			Expect(checked.Warnings).To(BeEmpty())
			Expect(checked.Config.BackupPVC).NotTo(BeEmpty())
		}
	})
})

// structPaths lists the JSON paths below a type in the way of the schema.
func structPaths(of reflect.Type, path string) []string {
	switch {
	case of.Kind() == reflect.Pointer:
		return structPaths(of.Elem(), path)
	case of.Kind() == reflect.Slice:
		return structPaths(of.Elem(), path+"[]")
	case of.Kind() == reflect.Map:
		return structPaths(of.Elem(), path+".<source storage class>")
	case of.Kind() != reflect.Struct || of == reflect.TypeFor[resource.Quantity]():
		return nil
	}
	var paths []string
	for _, field := range reflect.VisibleFields(of) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "-" {
			continue
		}
		at := strings.TrimPrefix(path+"."+name, ".")
		paths = append(paths, at)
		paths = append(paths, structPaths(field.Type, at)...)
	}
	return paths
}

// valuePaths lists the paths of everything in a document, in the way of the schema.
func valuePaths(value any, path string) []string {
	paths := []string{path}
	switch value := value.(type) {
	case map[string]any:
		for key, child := range value {
			if path == "backupPVC" {
				key = "<source storage class>"
			}
			paths = append(paths, valuePaths(child, strings.TrimPrefix(path+"."+key, "."))...)
		}
	case []any:
		for _, child := range value {
			paths = append(paths, valuePaths(child, path+"[]")...)
		}
	}
	return paths
}

// effects lists every setting that holds a value, with yes or no for its effect. Selectors are documented as a whole.
func effects() map[string]string {
	want := map[string]string{}
	for _, setting := range schema.Settings() {
		if holder, _, found := strings.Cut(setting.Path, ".nodeSelector."); found {
			setting.Path = holder + ".nodeSelector"
		} else if !setting.Leaf {
			continue
		}
		want[setting.Path] = map[bool]string{true: "no", false: "yes"}[setting.Inert]
	}
	return want
}
