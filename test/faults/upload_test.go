package faults

import (
	"context"
	"fmt"
	"os"
	"slices"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/controller/dataupload"
	"github.com/node-agent/node-agent/pkg/controller/engine"
	"github.com/node-agent/node-agent/pkg/mover"
	"github.com/node-agent/node-agent/pkg/repository"
	"github.com/node-agent/node-agent/test/cluster"
)

// upload is the movement of a DataUpload.
type upload struct {
	*cluster.Upload

	// volume is the directory with the data.
	volume string

	deletedEarly bool
	wasCompleted bool
}

func newUpload(name string) *upload {
	return &upload{Upload: &cluster.Upload{
		Cluster: world, Name: name, Class: cluster.FastClass, Mode: corev1.PersistentVolumeFilesystem,
		Policy: snapshotv1.VolumeSnapshotContentDelete,
	}}
}

func (u *upload) object() v2alpha1.Transfer { return u.DataUpload() }

func (u *upload) prepare(ctx context.Context) {
	u.volume = store.fill(u.Name)
	u.MakeSource(ctx)
}

// Forget removes what prepare has made, too.
func (u *upload) Forget(ctx context.Context) {
	u.Upload.Forget(ctx)
	Expect(os.RemoveAll(u.volume)).To(Succeed())
}

func (*upload) reconciler(base engine.Engine) reconcile.Reconciler {
	return dataupload.New(base)
}

func (u *upload) observe(_ context.Context, m *moment) {
	u.wasCompleted = u.wasCompleted || m.phase() == completed
}

func (u *upload) step(ctx context.Context) { u.BindAlias(ctx) }

func (u *upload) move(ctx context.Context, o mover.Options, _ *corev1.Pod, access func(repository.Access) repository.Access) error {
	o.VolumePath, o.VolumeMode = u.volume, u.Mode
	return mover.Upload(ctx, mover.UploadOptions{
		Options: o,
		Open: func(ctx context.Context, a repository.Access) (mover.Uploader, error) {
			return mover.OpenUploader(ctx, access(a))
		},
	})
}

// watch takes note of a storage snapshot that is deleted while its data may still be read.
func (u *upload) watch(_ context.Context, m moment, v *verdict) {
	if u.Deleted()[u.Handle()] > 0 && m.phase() != deleted && !m.phase().IsTerminal() && !u.deletedEarly {
		u.deletedEarly = true
		v.lost = append(v.lost, fmt.Sprintf("storage snapshot was deleted in phase %s", m.phase()))
	}
}

func (u *upload) owns(obj client.Object) bool {
	switch o := obj.(type) {
	case *corev1.PersistentVolume:
		return o.Spec.ClaimRef != nil && o.Spec.ClaimRef.Name == u.Name
	case *corev1.PersistentVolumeClaim:
		if obj.GetNamespace() == cluster.Shop {
			return false // the user's own
		}
	}
	return slices.Contains([]string{u.Name, u.SourceKey().Name, u.SourceContent()}, obj.GetName())
}

func (u *upload) judge(ctx context.Context, r *run, m moment) {
	u.judgeStorage(&r.verdict)
	u.judgeRepository(ctx, r, m)
}

// judgeStorage looks at how often the storage snapshot was deleted. Whether it was too early, the run has watched.
func (u *upload) judgeStorage(v *verdict) {
	switch times := u.Deleted()[u.Handle()]; {
	case times == 0:
		v.leaked = append(v.leaked, "storage snapshot "+u.Handle())
	case times > 1:
		v.lost = append(v.lost, fmt.Sprintf("storage snapshot was deleted %d times", times))
	}
}

// judgeRepository restores what a Completed DataUpload promises, and looks for snapshots that nobody knows of: neither the
// DataUpload, nor Velero's server, which deletes those that a ConfigMap names together with their backup.
func (u *upload) judgeRepository(ctx context.Context, r *run, m moment) {
	v := &r.verdict
	snapshots, err := store.opened.Snapshots(ctx, cluster.Shop, u.Name)
	Expect(err).NotTo(HaveOccurred())
	known := ""
	if m.phase() == completed {
		known = m.object.(*v2alpha1.DataUpload).Status.SnapshotID
		if err := store.restores(ctx, known, u.volume); err != nil {
			v.lost = append(v.lost, err.Error())
		}
	}
	left := u.leftToVelero(ctx)
	if left != "" && (u.wasCompleted || !r.losesResults && !v.injected && r.conditions.seed == 0) {
		v.leaked = append(v.leaked, "ConfigMap for a snapshot that is none or known")
	}
	surplus := 0
	for _, snapshot := range snapshots {
		// Nobody but Velero deletes the snapshot of a DataUpload that has been Completed.
		if snapshot.ID != known && snapshot.ID != left && (m.object != nil || !u.wasCompleted) {
			surplus++
		}
	}
	if surplus > 0 {
		v.leaked = append(v.leaked, fmt.Sprintf("%d snapshots in the repository", surplus))
	}
}

// leftToVelero does what Velero's server does when the backup is deleted: it finds the snapshot that a ConfigMap names, and
// deletes the ConfigMap. Documented by Velero's code only.
func (u *upload) leftToVelero(ctx context.Context) string {
	list := &corev1.ConfigMapList{}
	Expect(live.List(ctx, list, client.InNamespace(cluster.Velero), client.MatchingLabels{
		"velero.io/backup-name": "nightly", "velero.io/data-upload-snapshot-info": "true",
	})).To(Succeed())
	left := ""
	for i := range list.Items {
		configMap := &list.Items[i]
		if configMap.Name != u.Name+"-info" {
			continue
		}
		left = configMap.Data["snapshotID"]
		Expect(configMap.Data).To(Equal(map[string]string{
			"volumeNamespace": cluster.Shop, "backupStorageLocation": cluster.Location, "snapshotID": left, "repositoryType": "kopia",
			"source": cluster.Shop + "/" + u.Name, "uploaderType": "kopia", "repoIdentifier": "",
		}))
		Expect(live.Delete(ctx, configMap)).To(Succeed())
	}
	return left
}
