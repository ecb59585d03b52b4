package faults

import (
	"context"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"

	"github.com/node-agent/node-agent/pkg/config"
	"github.com/node-agent/node-agent/test/cluster"
)

// configureUpload sets the section of the configuration for the source's storage class, for reconcilers to come.
func configureUpload(r *run, section config.BackupPVC) {
	r.configure(func(c *config.Config) {
		c.BackupPVC = map[string]config.BackupPVC{r.movement.(*upload).Class: section}
	})
}

// reconfigure lets the next reconciler have another configuration.
func reconfigure(ctx context.Context, r *run) {
	configureUpload(r, config.BackupPVC{StorageClass: cluster.FastClass, ReadOnly: false})
	r.restart(ctx)
}

func retainedClass(r *run) { r.movement.(*upload).Policy = snapshotv1.VolumeSnapshotContentRetain }

func missingClass(r *run) {
	configureUpload(r, config.BackupPVC{StorageClass: "missing"})
	r.unprovisionable = true
}

func readOnlyCopy(r *run) {
	configureUpload(r, config.BackupPVC{StorageClass: cluster.CopyClass, ReadOnly: true})
}

// uploads are the scenarios of DataUploads.
func uploads() []scenario {
	return append(common(),
		scenario{name: "success, snapshot class with policy Retain", want: completed, change: retainedClass},
		scenario{name: "prepare timeout", want: canceled, change: missingClass, acts: []act{at(accepted, passPrepareTimeout)}},
		scenario{
			name: "configuration changes in between", want: completed, change: readOnlyCopy,
			acts: []act{{when: pvcIsThere, do: reconfigure}},
		},
		scenario{name: "deletion in Completed", want: deleted, acts: []act{at(completed, deleteMove)}},
		scenario{name: "cancel when the mover is done", want: completed, acts: []act{{when: moverIsDone, do: cancel}}},
		scenario{
			name: "cancel when a result got lost", want: canceled, losses: 1, change: loseResults,
			acts: []act{{when: betweenAttempts, do: cancel}},
		},
		scenario{
			name: "deletion when a result got lost", want: deleted, losses: 1, change: loseResults,
			acts: []act{{when: betweenAttempts, do: deleteMove}},
		},
	)
}
