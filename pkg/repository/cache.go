package repository

import (
	"fmt"
	"path/filepath"

	"github.com/kopia/kopia/repo/content"
	"golang.org/x/sys/unix"
)

const (
	// cacheLimit is the size of the caches, which Velero has too.
	cacheLimit = 5000 << 20

	// cacheVolumePercent of what is free on a volume for the cache is what the caches may take. Velero makes such a volume a
	// fifth larger than its limit.
	cacheVolumePercent = 80

	// metadataShare of a limit is for metadata: one fifth.
	metadataShare = 5

	// cacheSoftPercent of a limit is what Kopia sweeps down to.
	cacheSoftPercent = 80

	listCacheSeconds = 30
)

// cachingOptions says where Kopia's caches are, and how large they may be.
func cachingOptions(access Access, stateDir string) (*content.CachingOptions, error) {
	var limit int64 = cacheLimit
	dir := filepath.Join(stateDir, "cache")
	if access.CacheDir != "" {
		var stat unix.Statfs_t
		if err := unix.Statfs(access.CacheDir, &stat); err != nil {
			return nil, fmt.Errorf("volume %s for the cache of the repository: %w", access.CacheDir, err)
		}
		dir = filepath.Join(access.CacheDir, "kopia")
		limit = int64(stat.Bavail) * stat.Bsize / 100 * cacheVolumePercent
	}
	metadata := limit / metadataShare
	data := limit - metadata
	return &content.CachingOptions{
		CacheDirectory:              dir,
		ContentCacheSizeBytes:       data / 100 * cacheSoftPercent,
		ContentCacheSizeLimitBytes:  data,
		MetadataCacheSizeBytes:      metadata / 100 * cacheSoftPercent,
		MetadataCacheSizeLimitBytes: metadata,
		MaxListCacheDuration:        listCacheSeconds,
	}, nil
}
