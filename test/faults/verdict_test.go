package faults

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/attempts"
	"github.com/node-agent/node-agent/pkg/expose"
	"github.com/node-agent/node-agent/test/cluster"
)

// verdict is what came of a run.
type verdict struct {
	// injected tells whether the fault came about.
	injected bool
	// wrong says why the DataUpload did not end right, if it did not.
	wrong []string
	// leaked names what is left over: in the cluster, in the storage, in the repository.
	leaked []string
	// lost says what data is lost, or could have been.
	lost []string
	// errors are what passes have ended with.
	errors []string
	// controller and mover are the API calls of each, watches apart.
	controller, mover []call
	// conflicts is how often the API server answered that somebody else had written.
	conflicts int
	// By the run's clock: when it began, when the scenario's last act happened, when the DataUpload came to its end, and
	// when all was cleaned up.
	began, acted, ended, settled time.Time
	// took is the real time of the run.
	took time.Duration
}

func (v *verdict) clean() bool { return len(v.wrong) == 0 && len(v.leaked) == 0 && len(v.lost) == 0 }

func (v *verdict) String() string {
	if v.clean() {
		return "ended right, nothing leaked, nothing lost"
	}
	var parts []string
	for _, column := range []struct {
		name  string
		items []string
	}{{"not ended right", v.wrong}, {"leaked", v.leaked}, {"lost", v.lost}} {
		if len(column.items) > 0 {
			parts = append(parts, column.name+": "+strings.Join(column.items, "; "))
		}
	}
	return strings.Join(parts, " | ")
}

// judge looks at what the run has left.
func (r *run) judge(ctx context.Context) *verdict {
	for r.Collect(ctx) {
		continue // the cluster finishes what it is deleting
	}
	v := &r.verdict
	v.injected = r.controller.met() || r.mover.met()
	v.controller, v.mover = r.controller.made(), r.mover.made()
	v.conflicts = r.controller.conflicts
	du := r.moment(ctx).du
	r.judgeEnd(du)
	r.judgeCluster(ctx)
	r.judgeStorage()
	r.judgeRepository(ctx, du)
	return v
}

func (r *run) judgeEnd(du *v2alpha1.DataUpload) {
	v := &r.verdict
	wrong := func(format string, args ...any) { v.wrong = append(v.wrong, fmt.Sprintf(format, args...)) }
	for _, err := range v.errors {
		if !strings.Contains(err, injected) {
			wrong("error that nobody injected: %s", err)
		}
	}
	if len(r.remaining) > 0 {
		wrong("it never came to what was to happen on its way")
	}
	switch {
	case du == nil:
		if r.scenario.want != deleted {
			wrong("the DataUpload is gone")
		}
		return
	case r.scenario.want == deleted:
		wrong("the DataUpload is not gone")
	case du.Status.Phase != r.scenario.want:
		wrong("phase is %s instead of %s: %s", du.Status.Phase, r.scenario.want, du.Status.Message)
	case du.Status.Phase != completed && du.Status.Message == "":
		wrong("nothing says why it is %s", du.Status.Phase)
	case du.Status.CompletionTimestamp == nil || du.Status.StartTimestamp == nil:
		wrong("it has no start or no end")
	}
	if _, found := du.Labels[v2alpha1.ExposeOnGoingLabel]; found {
		v.leaked = append(v.leaked, "label "+v2alpha1.ExposeOnGoingLabel)
	}
	for _, finalizer := range du.Finalizers {
		v.leaked = append(v.leaked, "finalizer "+finalizer)
	}
	lost := len(attempts.LostBy(du))
	if r.conditions.mover != (call{}) && lost > r.scenario.losses {
		lost-- // that of the fault
	}
	// An old cache may hide that a pod ever was, and with it its loss.
	if lost > r.scenario.losses || lost < r.scenario.losses && r.conditions.seed == 0 {
		wrong("%d attempts were counted as lost instead of %d", lost, r.scenario.losses)
	}
}

// judgeCluster finds what was made for the DataUpload, by name, owner or claim, and its source.
func (r *run) judgeCluster(ctx context.Context) {
	for _, list := range []client.ObjectList{
		&corev1.PodList{}, &corev1.PersistentVolumeClaimList{}, &corev1.PersistentVolumeList{}, &corev1.SecretList{}, &corev1.ConfigMapList{},
		&snapshotv1.VolumeSnapshotList{}, &snapshotv1.VolumeSnapshotContentList{},
	} {
		Expect(live.List(ctx, list)).To(Succeed())
		Expect(meta.EachListItem(list, func(item runtime.Object) error {
			if obj := item.(client.Object); r.isRunsOwn(obj) {
				kind := strings.TrimSuffix(fmt.Sprintf("%T", list)[len("*v1."):], "List")
				r.verdict.leaked = append(r.verdict.leaked, kind+" "+strings.TrimPrefix(obj.GetNamespace()+"/"+obj.GetName(), "/"))
			}
			return nil
		})).To(Succeed())
	}
}

func (r *run) isRunsOwn(obj client.Object) bool {
	if pv, isPV := obj.(*corev1.PersistentVolume); isPV && pv.Spec.ClaimRef != nil && pv.Spec.ClaimRef.Name == r.Name {
		return true
	}
	switch obj.(type) {
	case *corev1.PersistentVolumeClaim, *corev1.Secret:
		if obj.GetNamespace() == cluster.Shop {
			return false // the user's own
		}
	}
	return slices.Contains([]string{r.Name, r.SourceKey().Name, r.SourceContent(), r.secret}, obj.GetName()) ||
		obj.GetLabels()[expose.OwnerUIDLabel] == string(r.uid)
}

// judgeStorage looks at how often the storage snapshot was deleted. Whether it was too early, the run has watched.
func (r *run) judgeStorage() {
	switch times := r.Deleted()[r.Handle()]; {
	case times == 0:
		r.verdict.leaked = append(r.verdict.leaked, "storage snapshot "+r.Handle())
	case times > 1:
		r.verdict.lost = append(r.verdict.lost, fmt.Sprintf("storage snapshot was deleted %d times", times))
	}
}

// watchStorage takes note of a storage snapshot that is deleted while its data may still be read.
func (r *run) watchStorage(ctx context.Context) {
	phase := r.moment(ctx).phase()
	if r.Deleted()[r.Handle()] > 0 && phase != deleted && !phase.IsTerminal() && !r.deletedEarly {
		r.deletedEarly = true
		r.verdict.lost = append(r.verdict.lost, fmt.Sprintf("storage snapshot was deleted in phase %s", phase))
	}
}

// judgeRepository restores what a Completed DataUpload promises, and looks for snapshots that nobody knows of: neither the
// DataUpload, nor Velero's server, which deletes those that a ConfigMap names together with their backup.
func (r *run) judgeRepository(ctx context.Context, du *v2alpha1.DataUpload) {
	v := &r.verdict
	snapshots, err := store.opened.Snapshots(ctx, cluster.Shop, r.Name)
	Expect(err).NotTo(HaveOccurred())
	known := ""
	if du != nil && du.Status.Phase == completed {
		known = du.Status.SnapshotID
		if err := store.restores(ctx, known, r.volume); err != nil {
			v.lost = append(v.lost, err.Error())
		}
	}
	left := r.leftToVelero(ctx)
	if left != "" && (r.wasCompleted || !r.losesResults && !v.injected && r.conditions.seed == 0) {
		v.leaked = append(v.leaked, "ConfigMap for a snapshot that is none or known")
	}
	surplus := 0
	for _, snapshot := range snapshots {
		// Nobody but Velero deletes the snapshot of a DataUpload that has been Completed.
		if snapshot.ID != known && snapshot.ID != left && (du != nil || !r.wasCompleted) {
			surplus++
		}
	}
	if surplus > 0 {
		v.leaked = append(v.leaked, fmt.Sprintf("%d snapshots in the repository", surplus))
	}
}

// leftToVelero does what Velero's server does when the backup is deleted: it finds the snapshot that a ConfigMap names, and
// deletes the ConfigMap. Documented by Velero's code only.
func (r *run) leftToVelero(ctx context.Context) string {
	list := &corev1.ConfigMapList{}
	Expect(live.List(ctx, list, client.InNamespace(cluster.Velero), client.MatchingLabels{
		"velero.io/backup-name": "nightly", "velero.io/data-upload-snapshot-info": "true",
	})).To(Succeed())
	left := ""
	for i := range list.Items {
		configMap := &list.Items[i]
		if configMap.Name != r.Name+"-info" {
			continue
		}
		left = configMap.Data["snapshotID"]
		Expect(configMap.Data).To(Equal(map[string]string{
			"volumeNamespace": cluster.Shop, "backupStorageLocation": cluster.Location, "snapshotID": left, "repositoryType": "kopia",
			"source": cluster.Shop + "/" + r.Name, "uploaderType": "kopia", "repoIdentifier": "",
		}))
		Expect(live.Delete(ctx, configMap)).To(Succeed())
	}
	return left
}
