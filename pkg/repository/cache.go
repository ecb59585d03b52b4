package repository

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"

	"github.com/kopia/kopia/repo/blob"
	"github.com/kopia/kopia/repo/content"
	"golang.org/x/sys/unix"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
)

const (
	mebibyteShift = 20

	// cacheVolumePercent of what is free on a volume for the cache may be used. Velero makes such a volume a fifth larger than
	// the limit of the cache.
	cacheVolumePercent = 80

	// metadataShare of a limit is for metadata: one fifth, as Velero has it.
	metadataShare = 5

	// cacheSoftPercent of a limit is what Kopia sweeps down to.
	cacheSoftPercent = 80

	listCacheSeconds = 30

	// indexPrefix begins the IDs of blobs with the index of the repository, and smallIndex is what a process may hold of it in
	// memory. It stands for about a million files or parts of files.
	indexPrefix = "x"
	smallIndex  = 64 << 20
)

// caching says where Kopia has its caches, and how large they may be.
func (c *connection) caching(ctx context.Context, access Access, stateDir string) (*content.CachingOptions, error) {
	limit := cmp.Or(access.CacheLimit, velerov1.DefaultCacheLimit) << mebibyteShift
	dir := filepath.Join(stateDir, "cache")
	switch {
	case access.CacheDir != "":
		var stat unix.Statfs_t
		if err := unix.Statfs(access.CacheDir, &stat); err != nil {
			return nil, fmt.Errorf("volume %s for the cache of the repository: %w", access.CacheDir, err)
		}
		dir = filepath.Join(access.CacheDir, "kopia")
		limit = min(limit, int64(stat.Bavail)*stat.Bsize/100*cacheVolumePercent)
	case access.Restore && c.hasSmallIndex(ctx):
		c.store.Packs().CacheMetadata()
		return &content.CachingOptions{}, nil
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

// hasSmallIndex tells whether Kopia can do without its caches. They have a price: Kopia waits until each part of a file that
// it has read is on the disk of the node, too, although next to none of them is read twice.
func (c *connection) hasSmallIndex(ctx context.Context) bool {
	var total int64
	err := c.store.ListBlobs(ctx, indexPrefix, func(found blob.Metadata) error {
		total += found.Length
		return nil
	})
	return err == nil && total <= smallIndex
}
