package repository

import (
	"path"

	"github.com/kopia/kopia/snapshot"
)

// The identity under which Velero keeps the snapshots of data movement. Parents are found by it, so it never holds the
// name of a pod or a mount point.
const (
	clientUser = "default"
	clientHost = "default"

	requester = "snapshot-data-upload-download"
	uploader  = "kopia"
)

// Tags of a snapshot. Velero's key is "requestor" nowhere.
const (
	tagAsyncOperation = "velero.io/async-operation-id"
	tagRequester      = "snapshot-requester"
	tagUploader       = "snapshot-uploader"

	// Ours. Velero finds snapshots by tags that it knows, and takes no notice of others.
	tagDataUpload  = "node-agent.io/data-upload-uid"
	tagIncremental = "node-agent.io/incremental-bytes"
	// tagEscapedNames is on snapshots in which names are escaped.
	tagEscapedNames = "node-agent.io/escaped-names"
)

const (
	snapshotDescription = "Kopia Uploader"

	// snapshotPin keeps Kopia's retention away: Velero alone decides when a snapshot goes.
	snapshotPin = "velero-pin"
)

// sourceOf is the identity of a volume.
func sourceOf(namespace, pvc string) snapshot.SourceInfo {
	return snapshot.SourceInfo{UserName: clientUser, Host: clientHost, Path: path.Join(requester, uploader, namespace, pvc)}
}

// moverTags are on all snapshots of data movement.
func moverTags() map[string]string {
	return map[string]string{tagRequester: requester, tagUploader: uploader}
}

// checkpointTags are on all that attempts at one DataUpload save, by which later ones find it.
func checkpointTags(dataUploadUID string) map[string]string {
	tags := moverTags()
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
