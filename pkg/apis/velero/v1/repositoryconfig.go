package v1

import (
	"fmt"
	"strconv"
	"time"
)

const (
	// DefaultCacheLimit is how large the caches of a repository may become on a node where nothing else is set, in MiB.
	DefaultCacheLimit = int64(5000)
	// MaxCacheLimit is what a limit of the caches may be at most, in MiB, so that there is a number for it in bytes.
	MaxCacheLimit = int64(1) << 42

	cacheLimitKey              = "cacheLimitMB"
	fullMaintenanceIntervalKey = "fullMaintenanceInterval"
)

// fullMaintenanceIntervals are the names that intervals have.
var fullMaintenanceIntervals = map[string]time.Duration{
	"": 0, "normalGC": 24 * time.Hour, "fastGC": 12 * time.Hour, "eagerGC": 6 * time.Hour,
}

// CacheLimit is what the spec.repositoryConfig of a BackupRepository limits the caches to, in MiB; zero, which is to say
// DefaultCacheLimit, where it is not set, and with an error where it is wrong.
//
// Documented in Velero under "Backup Repository Configuration". Velero, too, goes on with the default where it is wrong.
func CacheLimit(repositoryConfig map[string]string) (int64, error) {
	value := repositoryConfig[cacheLimitKey]
	if value == "" {
		return 0, nil
	}
	limit, err := strconv.ParseInt(value, 10, 64)
	if err != nil || limit <= 0 || limit > MaxCacheLimit {
		return 0, fmt.Errorf("%s is %q, it must be a whole number from 1 to %d", cacheLimitKey, value, MaxCacheLimit)
	}
	return limit, nil
}

// FullMaintenanceInterval is what the spec.repositoryConfig of a BackupRepository wants between two full maintenances; zero,
// which is to say Kopia's default, where it is not set.
//
// Documented in Velero under "Backup Repository Configuration". Velero, too, refuses to make a repository where it is wrong.
func FullMaintenanceInterval(repositoryConfig map[string]string) (time.Duration, error) {
	value := repositoryConfig[fullMaintenanceIntervalKey]
	interval, known := fullMaintenanceIntervals[value]
	if !known {
		return 0, fmt.Errorf("%s is %q, it must be normalGC, fastGC or eagerGC", fullMaintenanceIntervalKey, value)
	}
	return interval, nil
}
