package manifests_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/node-agent/node-agent/test/controlplane"
)

const kustomizationFile = "kustomization.yaml"

// manifest is one YAML document.
type manifest struct {
	file    string
	content []byte
}

// kind is what the document says it is.
func (m manifest) kind() string {
	GinkgoHelper()
	object := &unstructured.Unstructured{}
	Expect(yaml.Unmarshal(m.content, &object.Object)).To(Succeed(), m.file)
	return object.GetKind()
}

// load reads all documents below a folder of config, kustomizations apart. It runs while the specs are being built, where
// assertions cannot be made, and so panics.
func load(folder string) []manifest {
	var manifests []manifest
	err := filepath.WalkDir(filepath.Join(configDir, folder), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || entry.Name() == kustomizationFile || filepath.Ext(path) != ".yaml" {
			return err
		}
		documents, err := split(path)
		manifests = append(manifests, documents...)
		return err
	})
	if err != nil {
		panic(err)
	}
	return manifests
}

func split(path string) ([]manifest, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	file, err := filepath.Rel(configDir, path)
	if err != nil {
		return nil, err
	}
	var documents []manifest
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(content)))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return documents, nil
		}
		if err != nil {
			return nil, err
		}
		documents = append(documents, manifest{file: file, content: document})
	}
}

// decode turns a document into its API type; a field that the type does not have is an error.
func decode(m manifest) (runtime.Object, error) {
	scheme, err := controlplane.Scheme()
	if err != nil {
		return nil, err
	}
	if err := apiextensionsv1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	codecs := serializer.NewCodecFactory(scheme, serializer.EnableStrict)
	object, _, err := codecs.UniversalDeserializer().Decode(m.content, nil, nil)
	return object, err
}

// only returns the one object of type T below a folder.
func only[T runtime.Object](folder string) T {
	GinkgoHelper()
	var found []T
	for _, m := range load(folder) {
		object, err := decode(m)
		Expect(err).NotTo(HaveOccurred(), m.file)
		if typed, ok := object.(T); ok {
			found = append(found, typed)
		}
	}
	Expect(found).To(HaveLen(1))
	return found[0]
}
