package upload

import (
	"github.com/node-agent/node-agent/pkg/repository"
)

const (
	// tagAsyncOperation is Velero's.
	tagAsyncOperation = "velero.io/async-operation-id"

	// Ours. Velero finds snapshots by tags that it knows, and takes no notice of others.
	tagDataUpload  = "node-agent.io/data-upload-uid"
	tagIncremental = "node-agent.io/incremental-bytes"
)

const (
	snapshotDescription = "Kopia Uploader"

	// snapshotPin keeps Kopia's retention away: Velero alone decides when a snapshot goes.
	snapshotPin = "velero-pin"
)

// checkpointTags are on all that attempts at one DataUpload save, by which later ones find it.
func checkpointTags(dataUploadUID string) map[string]string {
	tags := repository.MoverTags()
	tags[tagDataUpload] = dataUploadUID
	return tags
}

// snapshotTags are the tags of a complete snapshot.
func snapshotTags(dataUploadUID, asyncOperationID string) map[string]string {
	tags := checkpointTags(dataUploadUID)
	if asyncOperationID != "" {
		tags[tagAsyncOperation] = asyncOperationID
	}
	return tags
}
