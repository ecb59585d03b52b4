package expose

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
)

// Suffixes that Velero appends to names.
const (
	// repositorySuffix makes the name of a BackupRepository of those of its namespace and location.
	repositorySuffix = "-" + velerov1.RepositoryTypeKopia
	// cacheSuffix makes the name of a cachePVC of that of a DataDownload.
	cacheSuffix = "-cache"
	// infoSuffix makes the name of the ConfigMap of SnapshotInfo of that of a DataUpload.
	infoSuffix = "-info"
)

// hashLength is how many hexadecimal digits tell two names apart that were cut.
const hashLength = 8

// CachePVCName is the name of the PVC for the cache of a restore.
func CachePVCName(dd *v2alpha1.DataDownload) string { return withSuffix(dd.Name, cacheSuffix) }

// SnapshotInfoName is the name of the ConfigMap that SnapshotInfo builds for a DataUpload.
func SnapshotInfoName(dataUpload string) string { return withSuffix(dataUpload, infoSuffix) }

// BackupRepositoryName is the name of the BackupRepository of a namespace in a storage location. Velero finds it by its labels.
func BackupRepositoryName(namespace, location string) string {
	return withSuffix(namespace+"-"+location, repositorySuffix)
}

// withSuffix appends a suffix to the name of an object. What would be longer than Kubernetes lets a name be is cut before the
// suffix, and has a hash of the whole name.
func withSuffix(name, suffix string) string {
	if len(name)+len(suffix) <= validation.DNS1123SubdomainMaxLength {
		return name + suffix
	}
	sum := sha256.Sum256([]byte(name))
	hash := "-" + hex.EncodeToString(sum[:])[:hashLength]
	// A part of a name must not end in a dash or a dot.
	return strings.TrimRight(name[:validation.DNS1123SubdomainMaxLength-len(hash)-len(suffix)], "-.") + hash + suffix
}

// DownloadOf is the name of the DataDownload that an object was made for: restore pod and restorePVC have that name, the cachePVC has
// a longer one.
func DownloadOf(obj metav1.Object) string {
	if owner := metav1.GetControllerOf(obj); owner != nil && obj.GetName() == withSuffix(owner.Name, cacheSuffix) {
		return owner.Name
	}
	return obj.GetName()
}
