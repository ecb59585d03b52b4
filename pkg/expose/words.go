package expose

import "github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"

// Words are how messages and reasons name what is made to move data in one direction.
type Words struct {
	// Kind is that of the DataUpload or DataDownload.
	Kind string
	// Pod moves the data, PVC is what it mounts.
	Pod, PVC string
	// Codes of reasons that have the name of the pod or PVC in them; docs/operations.md explains each.
	PodLostCode, WaitingForPodCode, WaitingForPVCCode string
}

// WordsFor are the words for a kind.
func WordsFor(kind string) Words {
	if kind == v2alpha1.KindDataDownload {
		return Words{
			Kind: kind, Pod: "restore pod", PVC: "restorePVC",
			PodLostCode: "RestorePodLost", WaitingForPodCode: "WaitingForRestorePod", WaitingForPVCCode: "WaitingForRestorePVC",
		}
	}
	return Words{
		Kind: kind, Pod: "backup pod", PVC: "backupPVC",
		PodLostCode: "BackupPodLost", WaitingForPodCode: "WaitingForBackupPod", WaitingForPVCCode: "WaitingForBackupPVC",
	}
}

// CacheWords are the words for the PVC of a restore pod's cache, as far as they count before there is a pod.
func CacheWords() Words {
	return Words{
		Kind: v2alpha1.KindDataDownload, Pod: "restore pod", PVC: "cachePVC", WaitingForPVCCode: "WaitingForCachePVC",
	}
}
