package faults

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/controller/datadownload"
	"github.com/node-agent/node-agent/pkg/controller/engine"
	"github.com/node-agent/node-agent/pkg/mover"
	"github.com/node-agent/node-agent/pkg/repository"
	"github.com/node-agent/node-agent/test/cluster"
)

// elsewhere is a volume that has nothing to do with the restore.
const elsewhere = "elsewhere"

// restore is the movement of a DataDownload.
type restore struct {
	*cluster.Download

	// targetComesLater lets the DataDownload be there before its target PVC.
	targetComesLater bool

	// snapshotID is what is restored, backup the directory that it was made of.
	snapshotID, backup string
	// volumes are the names of the PersistentVolumes that were made for the restorePVC and are not deleted yet.
	volumes []string
	// told are the things that watch has taken note of.
	told map[string]bool
}

func newRestore(name string) *restore {
	return &restore{
		Download: &cluster.Download{Upload: cluster.Upload{
			Cluster: world, Name: name, Class: cluster.BriefClass, Mode: corev1.PersistentVolumeFilesystem,
		}},
		told: map[string]bool{},
	}
}

func (d *restore) object() v2alpha1.Transfer {
	dd := d.DataDownload()
	dd.Spec.SnapshotID = d.snapshotID
	return dd
}

func (d *restore) prepare(ctx context.Context) {
	d.snapshotID, d.backup = store.backup(ctx)
	if !d.targetComesLater {
		d.MakeTarget(ctx)
	}
}

// Forget removes the data, too.
func (d *restore) Forget(ctx context.Context) {
	d.Download.Forget(ctx)
	for _, volume := range d.volumes {
		Expect(os.RemoveAll(directory(volume))).To(Succeed())
	}
}

// directory is where the data of a PersistentVolume is.
func directory(volume string) string { return filepath.Join(store.dir, volume) }

func (*restore) reconciler(base engine.Engine) reconcile.Reconciler {
	return datadownload.New(base)
}

func (d *restore) observe(ctx context.Context, m *moment) {
	m.target = d.Target(ctx)
	if volumes := d.Volumes(ctx); len(volumes) > 0 {
		m.volume = &volumes[0]
	}
}

func (d *restore) step(ctx context.Context) { d.Bind(ctx) }

func (d *restore) move(ctx context.Context, o mover.Options, pod *corev1.Pod, access func(repository.Access) repository.Access) error {
	pvc := &corev1.PersistentVolumeClaim{}
	Expect(live.Get(ctx, d.Key(), pvc)).To(Succeed())
	o.VolumePath, o.VolumeMode = directory(pvc.Spec.VolumeName), d.Mode
	Expect(os.MkdirAll(o.VolumePath, 0o700)).To(Succeed())
	restoring := mover.RestoreOptions{
		Options: o,
		Open: func(ctx context.Context, a repository.Access) (mover.Restorer, error) {
			return mover.OpenRestorer(ctx, access(a))
		},
	}
	if slices.ContainsFunc(pod.Spec.Containers[0].Args, func(arg string) bool { return strings.HasPrefix(arg, "--cache-volume-path=") }) {
		restoring.CacheVolumePath = filepath.Join(o.WorkDir, "cache-volume")
		Expect(os.Mkdir(restoring.CacheVolumePath, 0o700)).To(Succeed())
	}
	return mover.Restore(ctx, restoring)
}

// watch takes note of a volume that is deleted although the restore has not failed, of one that has two owners, and of a
// success that is told too early.
func (d *restore) watch(ctx context.Context, m moment, v *verdict) {
	present := map[string]bool{}
	for _, pv := range d.Volumes(ctx) {
		present[pv.Name] = true
		if !slices.Contains(d.volumes, pv.Name) {
			d.volumes = append(d.volumes, pv.Name)
		}
	}
	for _, volume := range d.volumes {
		if present[volume] {
			continue
		}
		Expect(os.RemoveAll(directory(volume))).To(Succeed()) // as the storage does
		if phase := m.phase(); phase != deleted && phase != canceled && phase != failed {
			d.once(&v.lost, fmt.Sprintf("the volume was deleted in phase %s", phase))
		}
	}
	given := m.target != nil && m.volume != nil && m.target.Spec.VolumeName == m.volume.Name
	if given && (m.pod != nil || m.pvc != nil) {
		d.once(&v.lost, "the target PVC has a volume that the restore has not let go of")
	}
	if m.phase() == completed && (!given || m.target.Status.Phase != corev1.ClaimBound) {
		d.once(&v.wrong, "it is Completed before the target PVC is bound")
	}
}

func (d *restore) once(column *[]string, what string) {
	if !d.told[what] {
		d.told[what] = true
		*column = append(*column, what)
	}
}

func (d *restore) owns(obj client.Object) bool {
	names := []string{d.Name, d.Name + "-cache"}
	if pv, isPV := obj.(*corev1.PersistentVolume); isPV {
		claim := pv.Spec.ClaimRef
		return claim != nil && claim.Namespace == cluster.Velero && slices.Contains(names, claim.Name)
	}
	return obj.GetNamespace() == cluster.Velero && slices.Contains(names, obj.GetName())
}

// judge looks at whom the volume belongs to: to the target PVC after a success, to nobody after a failure, because it is
// deleted then. Of a DataDownload that is gone either may be true.
func (d *restore) judge(ctx context.Context, r *run, m moment) {
	v := &r.verdict
	d.watch(ctx, m, v)
	name := ""
	if m.target != nil && m.target.Spec.VolumeName != elsewhere {
		name = m.target.Spec.VolumeName
	}
	switch {
	case m.phase() == completed && name == "":
		v.lost = append(v.lost, "the target PVC has no volume")
	case name != "" && (m.phase() == canceled || m.phase() == failed):
		v.wrong = append(v.wrong, fmt.Sprintf("it is %s, although the target PVC has the volume", m.phase()))
	case name != "" && !slices.ContainsFunc(d.Volumes(ctx), func(pv corev1.PersistentVolume) bool { return pv.Name == name }):
		v.lost = append(v.lost, "the volume of the target PVC is gone")
	}
	for _, pv := range d.Volumes(ctx) {
		switch {
		case pv.Name == name:
			d.judgeGiven(ctx, v, &pv, m.target)
		case !d.IsAdopted(ctx, &pv):
			v.leaked = append(v.leaked, "a volume that is Released")
		default:
			v.leaked = append(v.leaked, "a volume that is not the target PVC's")
		}
	}
}

// judgeGiven looks at the volume that the target PVC has got: it must be as if it had been made for that.
func (d *restore) judgeGiven(ctx context.Context, v *verdict, pv *corev1.PersistentVolume, target *corev1.PersistentVolumeClaim) {
	if pv.Spec.ClaimRef == nil || pv.Spec.ClaimRef.UID != target.UID {
		v.lost = append(v.lost, "the volume that the target PVC names is another's")
	}
	if target.Status.Phase != corev1.ClaimBound {
		v.wrong = append(v.wrong, "the target PVC is not bound")
	}
	class := &storagev1.StorageClass{}
	Expect(live.Get(ctx, client.ObjectKey{Name: d.Class}, class)).To(Succeed())
	if got, want := pv.Spec.PersistentVolumeReclaimPolicy, *class.ReclaimPolicy; got != want {
		v.wrong = append(v.wrong, fmt.Sprintf("the reclaim policy is %s instead of %s", got, want))
	}
	if !maps.Equal(pv.Labels, target.Spec.Selector.MatchLabels) || len(pv.Annotations) > 0 {
		v.leaked = append(v.leaked, fmt.Sprintf("labels %v and annotations %v on the volume", pv.Labels, pv.Annotations))
	}
	if file := differing(d.backup, directory(pv.Name)); file != "" {
		v.lost = append(v.lost, file+" of the restored volume is not as in the snapshot")
	}
}
