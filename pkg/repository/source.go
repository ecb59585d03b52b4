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

// Tags of all snapshots of data movement. Velero's key is "requestor" nowhere.
const (
	tagRequester = "snapshot-requester"
	tagUploader  = "snapshot-uploader"
)

// TagEscapedNames is on snapshots in which names are escaped. It is ours: Velero finds snapshots by tags that it knows, and
// takes no notice of others.
const TagEscapedNames = "node-agent.io/escaped-names"

// SourceOf is the identity of a volume.
func SourceOf(namespace, pvc string) snapshot.SourceInfo {
	return snapshot.SourceInfo{UserName: clientUser, Host: clientHost, Path: path.Join(requester, uploader, namespace, pvc)}
}

// MoverTags are on all snapshots of data movement.
func MoverTags() map[string]string {
	return map[string]string{tagRequester: requester, tagUploader: uploader}
}
