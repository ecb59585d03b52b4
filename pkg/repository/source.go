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

// snapshotTags are the tags of one upload.
func snapshotTags(asyncOperationID string) map[string]string {
	tags := moverTags()
	if asyncOperationID != "" {
		tags[tagAsyncOperation] = asyncOperationID
	}
	return tags
}
