package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/node-agent/node-agent/pkg/notice"
)

const nodeLabel = "node"

// datamove are the metrics of DataUploads, or of DataDownloads.
type datamove struct {
	success, failure, cancel *prometheus.CounterVec
	prepareSeconds           prometheus.Histogram
	moveSeconds              *prometheus.HistogramVec
	movedBytes               prometheus.Counter
	lostAttempts             *prometheus.CounterVec
	notices                  *prometheus.CounterVec
}

var (
	uploads   = newDatamove("data_upload", "DataUploads", "Bytes of volumes that were backed up, unchanged ones included.")
	downloads = newDatamove("data_download", "DataDownloads", "Bytes of volumes that were restored.")

	changedBytes = prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: namespace, Name: "data_upload_incremental_bytes_total",
		Help: "Bytes of volumes that were new or changed since the backup before.",
	})
)

func init() {
	for _, m := range []*datamove{uploads, downloads} {
		metrics.Registry.MustRegister(
			m.success, m.failure, m.cancel, m.prepareSeconds, m.moveSeconds, m.movedBytes, m.lostAttempts, m.notices)
	}
	metrics.Registry.MustRegister(changedBytes)
}

func newDatamove(prefix, what, moved string) *datamove {
	// Velero's own counters keep their names, so that alerts on them keep working.
	veleroCounter := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(
			prometheus.CounterOpts{Namespace: "podVolume", Name: prefix + name, Help: what + help}, []string{nodeLabel})
	}
	return &datamove{
		success: veleroCounter("_success_total", " that completed."),
		failure: veleroCounter("_failure_total", " that failed."),
		cancel:  veleroCounter("_cancel_total", " that were canceled."),
		prepareSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: namespace, Name: prefix + "_prepare_duration_seconds",
			Help:    "Time from accepted to prepared.",
			Buckets: []float64{1, 2, 5, 10, 30, 60, 120, 300, 600, 1200, 1800, 3600},
		}),
		moveSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: prefix + "_move_duration_seconds",
			Help:    "Time from the start of moving data to the end.",
			Buckets: []float64{1, 5, 15, 60, 300, 900, 1800, 3600, 7200, 14400, 28800},
		}, []string{"phase"}),
		movedBytes: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Name: prefix + "_processed_bytes_total", Help: moved,
		}),
		lostAttempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: prefix + "_lost_attempts_total",
			Help: "Pods that were lost while their work went on, by cause.",
		}, []string{"cause"}),
		notices: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: prefix + "_notices_total",
			Help: what + " that completed with something to be said about the volume, by what it is.",
		}, []string{"code"}),
	}
}

// of are the metrics of a kind.
func of(kind string) *datamove {
	if kind == "DataDownload" {
		return downloads
	}
	return uploads
}

// phases are those in which a DataUpload or DataDownload ends.
var phases = []string{"Completed", "Failed", "Canceled"}

// Begin lets all metrics of a kind that have few words for a label begin with 0, so that the first increase can be seen as one.
// causes are those of lost pods.
func Begin(kind string, causes []string) {
	m := of(kind)
	for _, phase := range phases {
		m.moveSeconds.WithLabelValues(phase)
	}
	for _, cause := range causes {
		m.lostAttempts.WithLabelValues(cause)
	}
	for _, code := range notice.Labels() {
		m.notices.WithLabelValues(code)
	}
	BeginNode("") // of what ends before it has a node
}

// BeginNode lets the counters of a node begin with 0.
func BeginNode(node string) {
	for _, counter := range ofNodes() {
		counter.WithLabelValues(node)
	}
}

// EndNode drops the counters of a node that is gone, so that there are no more than nodes.
func EndNode(node string) {
	for _, counter := range ofNodes() {
		counter.DeleteLabelValues(node)
	}
}

func ofNodes() []*prometheus.CounterVec {
	var counters []*prometheus.CounterVec
	for _, m := range []*datamove{uploads, downloads} {
		counters = append(counters, m.success, m.failure, m.cancel)
	}
	return counters
}

// ObserveNotice counts something that is said about a volume.
func ObserveNotice(kind string, n notice.Notice) { of(kind).notices.WithLabelValues(n.Label()).Inc() }

// ObservePrepared counts what became Prepared, and how long that took.
func ObservePrepared(kind string, took time.Duration) {
	of(kind).prepareSeconds.Observe(took.Seconds())
}

// ObserveEnded counts what ended in a terminal phase. Bytes of what was not successful do not count.
func ObserveEnded(kind, node, phase string, took time.Duration, processed int64) {
	m := of(kind)
	m.moveSeconds.WithLabelValues(phase).Observe(took.Seconds())
	switch phase {
	case "Completed":
		m.success.WithLabelValues(node).Inc()
		m.movedBytes.Add(float64(processed))
	case "Canceled":
		m.cancel.WithLabelValues(node).Inc()
	default:
		m.failure.WithLabelValues(node).Inc()
	}
}

// ObserveIncremental counts the bytes of a completed DataUpload that were new or changed.
func ObserveIncremental(bytes int64) {
	changedBytes.Add(float64(bytes))
}

// ObserveLostAttempt counts a pod that was lost. cause is one of few words.
func ObserveLostAttempt(kind, cause string) {
	of(kind).lostAttempts.WithLabelValues(cause).Inc()
}
