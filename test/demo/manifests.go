package main

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

// manifests are the project's own, from config/rbac and config/agent: the demo's agent has exactly the rights that a real
// one has, and its backup pods take over what real ones do.
type manifests struct {
	objects   []client.Object
	daemonSet *appsv1.DaemonSet
	container *corev1.Container
}

func loadManifests(scheme *runtime.Scheme) (*manifests, error) {
	module, err := controlplane.ModuleDir()
	if err != nil {
		return nil, err
	}
	loaded := &manifests{}
	for _, dir := range []string{"rbac", "agent"} {
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
	if loaded.daemonSet == nil {
		return nil, errors.New("no DaemonSet in config/agent")
	}
	loaded.container = &loaded.daemonSet.Spec.Template.Spec.Containers[0]
	return loaded, nil
}

// read decodes all documents of a file.
func (m *manifests) read(scheme *runtime.Scheme, path string) error {
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
		m.objects = append(m.objects, object)
		if daemonSet, ok := object.(*appsv1.DaemonSet); ok {
			m.daemonSet = daemonSet
		}
	}
}
