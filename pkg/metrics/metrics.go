// Package metrics holds every metric of node-agent. Labels are bounded: nodes and phases, never names of DataUploads.
package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

const (
	namespace = "node_agent"
	nodeLabel = "node"
)

// Velero's own counters keep their names, so that alerts on them keep working.
var (
	uploadSuccess = veleroCounter("data_upload_success_total", "DataUploads that completed.")
	uploadFailure = veleroCounter("data_upload_failure_total", "DataUploads that failed.")
	uploadCancel  = veleroCounter("data_upload_cancel_total", "DataUploads that were canceled.")
)

var (
	prepareSeconds = prometheus.NewHistogram(prometheus.HistogramOpts{
		Namespace: namespace, Name: "data_upload_prepare_duration_seconds",
		Help:    "Time from accepted to prepared.",
		Buckets: []float64{1, 2, 5, 10, 30, 60, 120, 300, 600, 1200, 1800, 3600},
	})
	moveSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: namespace, Name: "data_upload_move_duration_seconds",
		Help:    "Time from the start of moving data to the end of the DataUpload.",
		Buckets: []float64{1, 5, 15, 60, 300, 900, 1800, 3600, 7200, 14400, 28800},
	}, []string{"phase"})
	movedBytes = prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: namespace, Name: "data_upload_processed_bytes_total",
		Help: "Bytes of volumes that were backed up, unchanged ones included.",
	})
	changedBytes = prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: namespace, Name: "data_upload_incremental_bytes_total",
		Help: "Bytes of volumes that were new or changed since the backup before.",
	})
	lostAttempts = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "data_upload_lost_attempts_total",
		Help: "Backup pods that were lost while their DataUpload went on, by cause.",
	}, []string{"cause"})
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
	metrics.Registry.MustRegister(uploadSuccess, uploadFailure, uploadCancel,
		prepareSeconds, moveSeconds, movedBytes, changedBytes, lostAttempts, buildInfo, leading, standstill)
}

func veleroCounter(name, help string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(
		prometheus.CounterOpts{Namespace: "podVolume", Name: name, Help: help}, []string{nodeLabel})
}

// ObservePrepared counts a DataUpload that became Prepared, and how long that took.
func ObservePrepared(took time.Duration) {
	prepareSeconds.Observe(took.Seconds())
}

// ObserveEnded counts a DataUpload that ended in a terminal phase. Bytes of an unsuccessful one do not count.
func ObserveEnded(node, phase string, took time.Duration, processed, incremental int64) {
	moveSeconds.WithLabelValues(phase).Observe(took.Seconds())
	switch phase {
	case "Completed":
		uploadSuccess.WithLabelValues(node).Inc()
		movedBytes.Add(float64(processed))
		changedBytes.Add(float64(incremental))
	case "Canceled":
		uploadCancel.WithLabelValues(node).Inc()
	default:
		uploadFailure.WithLabelValues(node).Inc()
	}
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

// ObserveLostAttempt counts a backup pod that was lost. cause is one of few words.
func ObserveLostAttempt(cause string) {
	lostAttempts.WithLabelValues(cause).Inc()
}
