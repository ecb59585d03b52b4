package metrics_test

import (
	"regexp"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus"
	registry "sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/node-agent/node-agent/pkg/metrics"
	"github.com/node-agent/node-agent/pkg/notice"
)

func TestMetrics(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Metrics")
}

var ours = regexp.MustCompile(`fqName: "((?:node_agent|podVolume)_\w+)"`)

// described are the names of all metrics of ours.
func described() []string {
	descriptions := make(chan *prometheus.Desc)
	go func() {
		defer close(descriptions)
		registry.Registry.(prometheus.Collector).Describe(descriptions)
	}()
	var names []string
	for description := range descriptions {
		if match := ours.FindStringSubmatch(description.String()); match != nil {
			names = append(names, match[1])
		}
	}
	return names
}

// series are the label sets of each metric, and how often it was increased.
func series() map[string]map[string]float64 {
	GinkgoHelper()
	families, err := registry.Registry.Gather()
	Expect(err).NotTo(HaveOccurred())
	found := map[string]map[string]float64{}
	for _, family := range families {
		found[family.GetName()] = map[string]float64{}
		for _, metric := range family.GetMetric() {
			labels := ""
			for _, label := range metric.GetLabel() {
				labels += label.GetName() + "=" + label.GetValue()
			}
			found[family.GetName()][labels] = metric.GetCounter().GetValue() + float64(metric.GetHistogram().GetSampleCount())
		}
	}
	return found
}

var _ = Describe("what an agent counts", Ordered, func() {
	BeforeAll(func() {
		metrics.SetBuildInfo("v1")
		metrics.Begin("DataUpload", []string{"Evicted"})
		metrics.Begin("DataDownload", []string{"Evicted"})
		metrics.BeginSweep([]string{"Pod"})
		metrics.BeginNode("n1")
	})

	It("is there before anything has happened, as 0", func() {
		names, found := described(), series()
		Expect(names).NotTo(BeEmpty())
		for _, name := range names {
			Expect(found).To(HaveKey(name))
			for labels, value := range found[name] {
				Expect(value).To(BeZero(), name+labels)
			}
		}
	})

	It("has every label that it gets later", func() {
		before := series()
		for _, kind := range []string{"DataUpload", "DataDownload"} {
			for _, phase := range []string{"Completed", "Failed", "Canceled"} {
				metrics.ObserveEnded(kind, "n1", phase, 0, 1)
				metrics.ObserveEnded(kind, "", phase, 0, 1)
			}
			metrics.ObserveLostAttempt(kind, "Evicted")
			metrics.ObserveNotice(kind, notice.Notice{Code: notice.OwnersNotRestored, Count: 3})
			metrics.ObserveNotice(kind, notice.Notice{Code: "of a newer mover", Count: 1})
		}
		metrics.ObserveSwept("Pod")
		for name, after := range series() {
			for labels := range after {
				Expect(before[name]).To(HaveKey(labels), name)
			}
		}
	})

	It("is dropped with its node", func() {
		metrics.BeginNode("n2")
		metrics.EndNode("n2")
		for name, found := range series() {
			Expect(found).NotTo(HaveKey("node=n2"), name)
		}
	})
})
