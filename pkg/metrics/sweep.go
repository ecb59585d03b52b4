package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// kindLabel is the kind of an object, one of the five that are made for DataUploads.
const kindLabel = "kind"

var (
	orphanedObjects = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: namespace, Name: "orphaned_objects",
		Help: "Objects that were made for a DataUpload which no clean-up follows any more, because it is gone or lost its finalizer.",
	}, []string{kindLabel})
	sweptObjects = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "swept_objects_total",
		Help: "Orphaned objects that were removed.",
	}, []string{kindLabel})
)

func init() {
	metrics.Registry.MustRegister(orphanedObjects, sweptObjects)
}

// BeginSweep lets the metrics of kinds of objects begin with 0.
func BeginSweep(kinds []string) {
	for _, kind := range kinds {
		orphanedObjects.WithLabelValues(kind)
		sweptObjects.WithLabelValues(kind)
	}
}

// SetOrphanedObjects publishes how many objects of a kind are orphaned.
func SetOrphanedObjects(kind string, number int) {
	orphanedObjects.WithLabelValues(kind).Set(float64(number))
}

// ObserveSwept counts an orphaned object that was removed.
func ObserveSwept(kind string) {
	sweptObjects.WithLabelValues(kind).Inc()
}
