package repository

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/kopia/kopia/repo/blob"

	"github.com/node-agent/node-agent/pkg/repository/store"
)

// markerBlobID names the blob by which Velero knows that an initialisation was finished.
const markerBlobID = "udmrepo.Repository"

// marker is the content of the marker blob.
type marker struct {
	// UniqueID is Kopia's ID of the repository, in base64 when encoded.
	UniqueID []byte `json:"uniqueID"`
}

// ensureMarker writes the marker blob, unless it is there already.
func ensureMarker(ctx context.Context, storage blob.Storage, uniqueID []byte) error {
	content, err := store.ReadBlob(ctx, storage, markerBlobID)
	if errors.Is(err, blob.ErrBlobNotFound) {
		return writeMarker(ctx, storage, uniqueID)
	}
	if err != nil {
		return fmt.Errorf("read marker %s: %w", markerBlobID, err)
	}
	var found marker
	if err := json.Unmarshal(content, &found); err != nil {
		return fmt.Errorf("read marker %s: %w", markerBlobID, err)
	}
	if !bytes.Equal(found.UniqueID, uniqueID) {
		return fmt.Errorf("the repository is damaged: marker %s belongs to another repository", markerBlobID)
	}
	return nil
}

func writeMarker(ctx context.Context, storage blob.Storage, uniqueID []byte) error {
	content, err := json.Marshal(marker{UniqueID: uniqueID})
	if err != nil {
		return fmt.Errorf("encode marker %s: %w", markerBlobID, err)
	}
	if err := storage.PutBlob(ctx, markerBlobID, store.Bytes(content), blob.PutOptions{}); err != nil {
		return fmt.Errorf("write marker %s: %w", markerBlobID, err)
	}
	return nil
}
