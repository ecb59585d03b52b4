package metrics

import (
	"hash/crc32"
	"maps"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

var (
	configValid = prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "config_valid",
		Help: "1 if the node-agent ConfigMap is as it should be, 0 if it is wrong or gone and the last good one is in force.",
	})
	configUnknownKeys = prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "config_unknown_keys",
		Help: "Keys of the configuration in force that do not exist and are ignored.",
	})
	configHash = prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "config_hash",
		Help: "Checksum of the node-agent ConfigMap in force; another number is another content.",
	})
	configApplied = prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "config_applied_timestamp_seconds",
		Help: "When the configuration in force was read.",
	})
)

func init() {
	metrics.Registry.MustRegister(configValid, configUnknownKeys, configHash, configApplied)
}

// SetConfigValid publishes whether the node-agent ConfigMap is as it should be. No ConfigMap asked for is fine too.
func SetConfigValid(valid bool) {
	configValid.Set(oneIf(valid))
}

// SetConfigApplied publishes that the content of a ConfigMap came into force, and how many of its keys are ignored.
func SetConfigApplied(data map[string]string, unknownKeys int) {
	configApplied.SetToCurrentTime()
	configUnknownKeys.Set(float64(unknownKeys))
	hash := crc32.NewIEEE()
	for _, key := range slices.Sorted(maps.Keys(data)) {
		_, _ = hash.Write([]byte(key + "\x00" + data[key] + "\x00")) // a hash takes whatever it is given
	}
	configHash.Set(float64(hash.Sum32()))
}
