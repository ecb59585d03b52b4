package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/sirupsen/logrus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/config"
	"github.com/node-agent/node-agent/pkg/controller/engine"
	"github.com/node-agent/node-agent/test/cluster"
)

const (
	prepareTimeout = 30 * time.Minute
	maxAttempts    = 3
	// maxPasses is far more than any run needs.
	maxPasses = 250
	// namePrefix begins the names of all DataUploads and DataDownloads.
	namePrefix = "move-"
	// retry is when a pass that returned an error is made again.
	retry = time.Second
)

// conditions are what a run goes through beside its scenario. The zero value is a good day.
type conditions struct {
	// controller and mover say which of their calls meets the fault.
	controller, mover call
	fault             fault
	// alone leaves the reconciler without any watch event: it comes back when it said it would.
	alone bool
	// seed, if not 0, lets the cache lag.
	seed uint64
	// alter puts something before the reconciler's client.
	alter func(client.Client) client.Client
}

// run is one DataUpload or DataDownload on its way through a scenario, with a reconciler, a clock and movers of its own.
type run struct {
	movement
	name       string
	scenario   scenario
	conditions conditions
	verdict    verdict

	clock             *clocktesting.FakePassiveClock
	log               logrus.FieldLogger
	view              *view
	controller, mover *faultyTransport
	agent             reconcile.Reconciler
	config            *config.Config

	// node is where the pod runs.
	node string
	// occupied lets another DataUpload move data on the node, until freeSlot is called.
	occupied bool
	freeSlot func(context.Context)
	// unprovisionable lets the PVC of the pod wait for ever.
	unprovisionable bool
	// secret is what the driver needs to use the volume, empty if nothing.
	secret string
	// losesResults lets every mover be killed right after it has moved all data.
	losesResults bool
	// attached says that the volume of a restore is at one node at a time.
	attached bool
	// ignoresLease is a bug of a mover that is cut off.
	ignoresLease bool
	// wrongPassword lets the mover meet an error that no other attempt would heal.
	wrongPassword bool

	// doomed is the node that became silent, lost the mover that was cut off; nil if there is none.
	doomed string
	lost   *cutOffMover

	uid       types.UID
	remaining []act
	fresh     bool
}

var runs int

// play plays a scenario and returns the verdict. Nothing of it is left afterwards.
func play(ctx context.Context, sc scenario, c conditions) *verdict {
	GinkgoHelper()
	started := time.Now()
	store.use(ctx)
	r := newRun(sc, c)
	defer r.clear(ctx)
	r.set(ctx)
	var lag *rand.Rand
	if c.seed != 0 {
		lag = rand.New(rand.NewPCG(c.seed, 0))
	}
	var err error
	r.view, err = newView(ctx, live, lag)
	Expect(err).NotTo(HaveOccurred())
	r.restart(ctx)
	r.verdict.began = r.clock.Now()
	r.goOn(ctx)
	r.judge(ctx).took = time.Since(started)
	return &r.verdict
}

func newRun(sc scenario, c conditions) *run {
	runs++
	log := logrus.New()
	log.SetOutput(GinkgoWriter)
	r := &run{
		name:     fmt.Sprintf("%s%d", namePrefix, runs),
		scenario: sc, conditions: c, remaining: sc.acts, node: cluster.Node, config: config.Default(), log: log,
		// Whole seconds, because that is what the API keeps.
		clock:    clocktesting.NewFakePassiveClock(time.Unix(time.Now().Unix(), 0)),
		freeSlot: func(context.Context) {},
	}
	if sc.restores {
		r.movement = newRestore(r.name)
	} else {
		r.movement = newUpload(r.name)
	}
	r.controller = &faultyTransport{name: r.name, target: c.controller, fault: c.fault}
	r.mover = &faultyTransport{name: r.name, target: c.mover, fault: c.fault}
	if sc.change != nil {
		sc.change(r)
	}
	return r
}

// set makes what a run begins with.
func (r *run) set(ctx context.Context) {
	if r.node != cluster.Node {
		Expect(live.Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: r.node}})).To(Succeed())
	}
	if r.occupied {
		r.freeSlot = occupySlot(ctx)
	}
	if r.secret != "" {
		Expect(live.Create(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: cluster.Shop, Name: r.secret}, StringData: map[string]string{"key": "value"},
		})).To(Succeed())
	}
	r.prepare(ctx)
	move := r.object()
	Expect(live.Create(ctx, move)).To(Succeed())
	r.uid = move.GetUID()
}

// clear removes all traces of a run, whatever became of it.
func (r *run) clear(ctx context.Context) {
	r.lost.end()
	r.freeSlot(ctx)
	r.Forget(ctx)
	if r.secret != "" {
		for _, namespace := range []string{cluster.Shop, cluster.Velero} {
			secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: r.secret}}
			Expect(client.IgnoreNotFound(live.Delete(ctx, secret))).To(Succeed())
		}
	}
	Expect(live.DeleteAllOf(ctx, &corev1.Event{}, client.InNamespace(cluster.Velero))).To(Succeed())
	for _, node := range []string{r.node, r.doomed} {
		if node != "" && node != cluster.Node {
			Expect(client.IgnoreNotFound(live.Delete(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node}}))).To(Succeed())
		}
	}
}

// restart starts the agent anew: it forgets everything that a process can forget, and lists everything.
func (r *run) restart(ctx context.Context) {
	through := r.controller.reaching(plane.Config)
	options := client.Options{Scheme: live.Scheme(), Mapper: live.RESTMapper()}
	direct, err := client.New(through, options)
	Expect(err).NotTo(HaveOccurred())
	options.Cache = &client.CacheOptions{Reader: r.view}
	cached, err := client.New(through, options)
	Expect(err).NotTo(HaveOccurred())
	if r.conditions.alter != nil {
		cached = r.conditions.alter(cached)
	}
	configured := r.config
	r.agent = r.reconciler(engine.Engine{
		Options: engine.Options{
			Namespace: cluster.Velero, NodeName: "agent-node", Config: func() *config.Config { return configured },
			PrepareTimeout: prepareTimeout, MaxAttempts: maxAttempts,
		},
		Client: cached, Live: direct, Events: &recorder{client: direct}, Clock: r.clock, Log: r.log,
	})
	Expect(r.view.relist(ctx)).To(Succeed())
	r.fresh = true
}

// configure sets the configuration, as changed from its defaults, for reconcilers to come.
func (r *run) configure(change func(*config.Config)) {
	r.config = config.Default()
	change(r.config)
}

func (r *run) passTime(d time.Duration) {
	r.clock.SetTime(r.clock.Now().Add(d))
	if r.lost != nil {
		r.lost.clock.SetTime(r.clock.Now())
	}
}

// goOn lets everything happen that can, one step after the other, until the DataUpload or DataDownload is settled or gone.
func (r *run) goOn(ctx context.Context) {
	var result ctrl.Result
	var err error
	for range maxPasses {
		r.actIfTime(ctx)
		if !r.awake(ctx, result, err) {
			r.verdict.wrong = append(r.verdict.wrong, "nobody looks at it any more: "+r.describe(ctx))
			return
		}
		result, err = r.agent.Reconcile(ctx, ctrl.Request{NamespacedName: r.Key()})
		if err != nil {
			r.verdict.errors = append(r.verdict.errors, err.Error())
		}
		if r.controller.revive() {
			r.restart(ctx)
		}
		r.watchData(ctx)
		if r.isSettled(ctx) && err == nil {
			r.verdict.settled = r.clock.Now()
			return
		}
		if !r.actIfTime(ctx) { // else it happens before anything else
			r.stepOthers(ctx)
		}
		r.watchData(ctx)
	}
	r.verdict.wrong = append(r.verdict.wrong, "it comes to no end: "+r.describe(ctx))
}

// actIfTime lets the scenario's next act happen if its time has come. It tells whether it did.
func (r *run) actIfTime(ctx context.Context) bool {
	if len(r.remaining) == 0 || !r.remaining[0].when(r.moment(ctx)) {
		return false
	}
	next := r.remaining[0]
	r.remaining = r.remaining[1:]
	r.verdict.acted = r.clock.Now()
	next.do(ctx, r)
	return true
}

// awake tells whether the reconciler looks again: when watches show a change, or else when it wanted to.
func (r *run) awake(ctx context.Context, last ctrl.Result, err error) bool {
	changed, lookErr := r.view.refresh(ctx)
	Expect(lookErr).NotTo(HaveOccurred())
	fresh := r.fresh
	r.fresh = false
	switch {
	case fresh, changed && !r.conditions.alone:
		return true
	case err != nil:
		r.passTime(retry)
		return true
	case last.RequeueAfter > 0:
		r.passTime(last.RequeueAfter)
		return true
	default:
		return r.view.behind() && !r.conditions.alone
	}
}

// moment reads the present.
func (r *run) moment(ctx context.Context) moment {
	m := moment{object: r.object(), pvc: &corev1.PersistentVolumeClaim{}, pod: r.Pod(ctx)}
	if live.Get(ctx, r.Key(), m.object) != nil {
		m.object = nil
	}
	if live.Get(ctx, r.Key(), m.pvc) != nil {
		m.pvc = nil
	}
	r.observe(ctx, &m)
	return m
}

func (r *run) describe(ctx context.Context) string {
	m := r.moment(ctx)
	if m.object == nil {
		return "it is gone"
	}
	return fmt.Sprintf("phase %s, message %q", m.phase(), m.object.TransferStatus().Message)
}

// isSettled tells whether the DataUpload or DataDownload is at its end, and nothing is left to be done on its way.
func (r *run) isSettled(ctx context.Context) bool {
	m := r.moment(ctx)
	if m.phase() == deleted || m.phase().IsTerminal() {
		if r.verdict.ended.IsZero() {
			r.verdict.ended = r.clock.Now()
		}
		return m.object == nil || len(m.object.GetFinalizers()) == 0
	}
	return false
}

// stepOthers lets each of the cluster's other controllers take a step.
func (r *run) stepOthers(ctx context.Context) {
	r.step(ctx)
	if !r.unprovisionable {
		r.Provision(ctx)
	}
	if pod := r.Pod(ctx); pod != nil && canMount(ctx, pod) && r.lost.gives(pod) {
		r.RunPod(ctx, r.node)
	}
	r.moveData(ctx)
	r.lost.write()
	r.Collect(ctx)
}

// watchData takes note of what must not happen to the data.
func (r *run) watchData(ctx context.Context) { r.watch(ctx, r.moment(ctx), &r.verdict) }

// canMount tells whether a kubelet could mount the volumes: all are bound, and one that was made for reading only is not to be
// written to.
func canMount(ctx context.Context, pod *corev1.Pod) bool {
	for _, volume := range pod.Spec.Volumes {
		claim, pvc := volume.PersistentVolumeClaim, &corev1.PersistentVolumeClaim{}
		if claim == nil {
			continue
		}
		if live.Get(ctx, client.ObjectKey{Namespace: pod.Namespace, Name: claim.ClaimName}, pvc) != nil ||
			pvc.Status.Phase != corev1.ClaimBound || pvc.Spec.AccessModes[0] == corev1.ReadOnlyMany && !claim.ReadOnly {
			return false
		}
	}
	return true
}

// occupySlot lets another DataUpload move data on the node. It returns how to end that.
func occupySlot(ctx context.Context) func(context.Context) {
	other := &v2alpha1.DataUpload{
		ObjectMeta: metav1.ObjectMeta{Namespace: cluster.Velero, GenerateName: "other-"},
		Spec:       v2alpha1.DataUploadSpec{SnapshotType: v2alpha1.SnapshotTypeCSI, BackupStorageLocation: cluster.Location},
		Status:     v2alpha1.DataUploadStatus{TransferStatus: v2alpha1.TransferStatus{Phase: inProgress, Node: cluster.Node}},
	}
	Expect(live.Create(ctx, other)).To(Succeed())
	return func(ctx context.Context) { Expect(client.IgnoreNotFound(live.Delete(ctx, other))).To(Succeed()) }
}
