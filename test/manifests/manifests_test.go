package manifests_test

import (
	"io/fs"
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// podMonitorFile holds a kind whose API type is not among our dependencies.
const podMonitorFile = "prometheus/podmonitor.yaml"

// podMonitor is as much of the kind as is used here.
type podMonitor struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Selector            metav1.LabelSelector `json:"selector"`
		PodMetricsEndpoints []struct {
			Port string `json:"port"`
			Path string `json:"path"`
		} `json:"podMetricsEndpoints"`
	} `json:"spec"`
}

// kustomization is as much of the format as is used here.
type kustomization struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Namespace  string   `json:"namespace,omitempty"`
	Resources  []string `json:"resources"`
	Images     []struct {
		Name    string `json:"name"`
		NewName string `json:"newName"`
		NewTag  string `json:"newTag"`
	} `json:"images,omitempty"`
}

var _ = Describe("Manifests", func() {
	for _, m := range load(".") {
		if m.file == podMonitorFile {
			continue
		}
		It("are strictly of their API type: "+m.file, func() {
			_, err := decode(m)
			Expect(err).NotTo(HaveOccurred())
		})
	}

	It("have a PodMonitor that selects the agent's pods and a port of theirs", func() {
		template := only[*appsv1.DaemonSet]("agent").Spec.Template
		ports := []string{}
		for _, port := range template.Spec.Containers[0].Ports {
			ports = append(ports, port.Name)
		}
		var monitor podMonitor
		content, err := os.ReadFile(filepath.Join(configDir, podMonitorFile))
		Expect(err).NotTo(HaveOccurred())
		Expect(yaml.UnmarshalStrict(content, &monitor)).To(Succeed())
		Expect(monitor.Namespace).To(Equal(namespace))
		Expect(monitor.Spec.Selector.MatchLabels).NotTo(BeEmpty())
		for label, value := range monitor.Spec.Selector.MatchLabels {
			Expect(template.Labels).To(HaveKeyWithValue(label, value))
		}
		Expect(monitor.Spec.PodMetricsEndpoints).To(HaveLen(1))
		Expect(ports).To(ContainElement(monitor.Spec.PodMetricsEndpoints[0].Port))
	})

	It("cover every part of an installation", func() {
		kinds := []string{}
		for _, m := range load(".") {
			kinds = append(kinds, m.kind())
		}
		Expect(kinds).To(ContainElements("CustomResourceDefinition", "ServiceAccount", "Role", "RoleBinding",
			"ClusterRole", "ClusterRoleBinding", "DaemonSet", "PodMonitor"))
	})
})

var _ = Describe("Kustomizations", func() {
	It("list files that exist, and all files beside them", func() {
		seen := 0
		err := filepath.WalkDir(configDir, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.Name() != kustomizationFile {
				return err
			}
			seen++
			check(path)
			return nil
		})
		Expect(err).NotTo(HaveOccurred())
		Expect(seen).To(BeNumerically(">=", 5))
	})
})

func check(path string) {
	GinkgoHelper()
	content, err := os.ReadFile(path)
	Expect(err).NotTo(HaveOccurred())
	var k kustomization
	Expect(yaml.UnmarshalStrict(content, &k)).To(Succeed(), path)
	Expect(k.Kind).To(Equal("Kustomization"), path)
	if k.Namespace != "" {
		Expect(k.Namespace).To(Equal(namespace), path)
	}
	dir := filepath.Dir(path)
	for _, resource := range k.Resources {
		Expect(filepath.Join(dir, resource)).To(BeAnExistingFile(), path)
	}
	beside, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	Expect(err).NotTo(HaveOccurred())
	for _, file := range beside {
		if name := filepath.Base(file); name != kustomizationFile {
			Expect(k.Resources).To(ContainElement(name), path)
		}
	}
}
