// Package metrics holds every metric of node-agent. Labels are bounded: nodes and phases, never names of DataUploads.
package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

const namespace = "node_agent"

var (
	buildInfo = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info",
		Help: "Always 1; the label tells the version.",
	}, []string{"version"})
	leading = prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "leading",
		Help: "1 if this agent is the one that reconciles, else 0.",
	})
	standstill = prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "standstill",
		Help: "1 if this agent sees that no agent works on DataUploads, else 0.",
	})
)

func init() {
	metrics.Registry.MustRegister(buildInfo, leading, standstill)
}

// SetBuildInfo publishes the version that runs.
func SetBuildInfo(version string) {
	buildInfo.WithLabelValues(version).Set(1)
}

// SetStandstill publishes whether this agent sees that no agent works on DataUploads.
func SetStandstill(stands bool) {
	standstill.Set(oneIf(stands))
}

// SetLeading publishes whether this agent leads.
func SetLeading(leads bool) {
	leading.Set(oneIf(leads))
}

func oneIf(condition bool) float64 {
	if condition {
		return 1
	}
	return 0
}
