package upload

import (
	"encoding/json"
	"fmt"

	"github.com/kopia/kopia/snapshot"

	"github.com/node-agent/node-agent/pkg/notice"
	"github.com/node-agent/node-agent/pkg/repository"
)

const (
	// tagAsyncOperation is Velero's.
	tagAsyncOperation = "velero.io/async-operation-id"

	// Ours. Velero finds snapshots by tags that it knows, and takes no notice of others.
	tagDataUpload  = "node-agent.io/data-upload-uid"
	tagIncremental = "node-agent.io/incremental-bytes"
	// tagFullRead is on snapshots for which all of the volume was read.
	tagFullRead = "node-agent.io/full-read"
	// tagNotices holds what is to be said about the volume, as JSON, for an attempt that finds the snapshot complete.
	tagNotices = "node-agent.io/notices"
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

// withFullRead adds the tag for a full read, if this is one.
func (t *task) withFullRead(tags map[string]string) map[string]string {
	if t.fullRead {
		tags[tagFullRead] = "true"
	}
	return tags
}

// withNotices adds the tag for what is to be said, if there is anything.
func withNotices(tags map[string]string, notices []notice.Notice) map[string]string {
	if len(notices) == 0 {
		return tags
	}
	text, err := json.Marshal(notices)
	if err != nil {
		panic(fmt.Sprintf("marshal notices: %v", err)) // strings and numbers can always be marshalled
	}
	tags[tagNotices] = string(text)
	return tags
}

// noticesOf reads the tag.
func noticesOf(saved *snapshot.Manifest) []notice.Notice {
	var result []notice.Notice
	if err := json.Unmarshal([]byte(saved.Tags[tagNotices]), &result); err != nil {
		return nil
	}
	return result
}
