package installation

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/test/controlplane"
)

// Manifests are the project's own, from config/rbac, config/manage-repositories and config/agent: an agent has exactly the rights
// here that a real one has, and its backup pods take over what real ones do.
type Manifests struct {
	// Objects are all of them.
	Objects []client.Object
	// DaemonSet is the agent's, and Container its only one.
	DaemonSet *appsv1.DaemonSet
	Container *corev1.Container
}

// LoadManifests reads them. It has to be called with the working directory inside the module.
func LoadManifests(scheme *runtime.Scheme) (*Manifests, error) {
	module, err := controlplane.ModuleDir()
	if err != nil {
		return nil, err
	}
	loaded := &Manifests{}
	for _, dir := range []string{"rbac", "manage-repositories", "agent"} {
		files, err := filepath.Glob(filepath.Join(module, "config", dir, "*.yaml"))
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			if filepath.Base(file) == "kustomization.yaml" {
				continue
			}
			if err := loaded.read(scheme, file); err != nil {
				return nil, fmt.Errorf("read %s: %w", file, err)
			}
		}
	}
	if loaded.DaemonSet == nil {
		return nil, errors.New("no DaemonSet in config/agent")
	}
	loaded.Container = &loaded.DaemonSet.Spec.Template.Spec.Containers[0]
	return loaded, nil
}

// read decodes all documents of a file.
func (m *Manifests) read(scheme *runtime.Scheme, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	decoder := serializer.NewCodecFactory(scheme).UniversalDeserializer()
	reader := yaml.NewYAMLReader(bufio.NewReader(file))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		decoded, _, err := decoder.Decode(document, nil, nil)
		if err != nil {
			return err
		}
		object, ok := decoded.(client.Object)
		if !ok {
			return fmt.Errorf("%T is no object", decoded)
		}
		m.Objects = append(m.Objects, object)
		if daemonSet, ok := object.(*appsv1.DaemonSet); ok {
			m.DaemonSet = daemonSet
		}
	}
}
