package faults

import (
	"context"
	"fmt"
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
	// wrong says why the DataUpload or DataDownload did not end right, if it did not.
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
	// By the run's clock: when it began, when the scenario's last act happened, when the DataUpload or DataDownload came to its
	// end, and when all was cleaned up.
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
	r.lost.write()
	v := &r.verdict
	v.injected = r.controller.met() || r.mover.met()
	v.controller, v.mover = r.controller.made(), r.mover.made()
	v.conflicts = r.controller.conflicts
	m := r.moment(ctx)
	r.judgeEnd(m.object)
	r.judgeCluster(ctx)
	r.movement.judge(ctx, r, m)
	return v
}

func (r *run) judgeEnd(move v2alpha1.Transfer) {
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
	if move == nil {
		if r.scenario.want != deleted {
			wrong("it is gone")
		}
		return
	}
	switch status := move.TransferStatus(); {
	case r.scenario.want == deleted:
		wrong("it is not gone")
	case !r.mayEndIn(status.Phase):
		wrong("phase is %s instead of %s: %s", status.Phase, r.scenario.want, status.Message)
	case status.Phase != completed && status.Message == "":
		wrong("nothing says why it is %s", status.Phase)
	case status.CompletionTimestamp == nil || status.StartTimestamp == nil:
		wrong("it has no start or no end")
	}
	if _, found := move.GetLabels()[v2alpha1.ExposeOnGoingLabel]; found {
		v.leaked = append(v.leaked, "label "+v2alpha1.ExposeOnGoingLabel)
	}
	for _, finalizer := range move.GetFinalizers() {
		v.leaked = append(v.leaked, "finalizer "+finalizer)
	}
	lost := len(attempts.LostBy(move))
	if r.conditions.mover != (call{}) && lost > r.scenario.losses {
		lost-- // that of the fault
	}
	// An old cache may hide that a pod ever was, and with it its loss.
	if lost > r.scenario.losses || lost < r.scenario.losses && r.conditions.seed == 0 {
		wrong("%d attempts were counted as lost instead of %d", lost, r.scenario.losses)
	}
}

// mayEndIn tells whether a phase is right. To an old cache an act may come too late.
func (r *run) mayEndIn(phase v2alpha1.Phase) bool {
	return phase == r.scenario.want || r.conditions.seed != 0 && phase == r.scenario.tooLate
}

// judgeCluster finds what was made for the DataUpload or DataDownload, by name, owner or claim.
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
	if _, isSecret := obj.(*corev1.Secret); isSecret {
		return obj.GetNamespace() == cluster.Velero && obj.GetName() == r.secret
	}
	return r.owns(obj) || obj.GetLabels()[expose.OwnerUIDLabel] == string(r.uid)
}
