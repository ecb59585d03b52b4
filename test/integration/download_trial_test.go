package integration

import (
	"context"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/sirupsen/logrus"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/config"
	"github.com/node-agent/node-agent/pkg/controller/datadownload"
	"github.com/node-agent/node-agent/pkg/controller/engine"
	"github.com/node-agent/node-agent/pkg/expose"
	"github.com/node-agent/node-agent/test/cluster"
)

const goodRestore = `{"target":{"byPath":"/x","volumeMode":"Filesystem"},"totalBytes":100}`

// download is one DataDownload with its own reconciler and clock.
type download struct {
	*cluster.Download
	spec func(*v2alpha1.DataDownloadSpec)

	clock    *clocktesting.FakePassiveClock
	recorder *events.FakeRecorder
	r        *datadownload.Reconciler
	client   *fragileClient
}

var downloads int

// newDownload prepares a DataDownload into a file-system volume, with a repository that is ready.
func newDownload(changes ...func(*download)) *download {
	downloads++
	d := &download{
		Download: &cluster.Download{Upload: cluster.Upload{
			Cluster: world, Name: fmt.Sprintf("download-%d", downloads), Class: fastClass, Mode: corev1.PersistentVolumeFilesystem,
		}},
		clock:    clocktesting.NewFakePassiveClock(time.Unix(time.Now().Unix(), 0)),
		recorder: events.NewFakeRecorder(100),
	}
	log := logrus.New()
	log.SetOutput(GinkgoWriter)
	d.client = &fragileClient{Client: cached}
	d.r = datadownload.New(engine.Engine{
		Options: engine.Options{
			Namespace: velero, NodeName: "agent-node", Config: config.Default, PrepareTimeout: prepareTimeout, MaxAttempts: maxAttempts,
		},
		Client: d.client, Live: live, Events: d.recorder, Clock: d.clock, Log: log,
	})
	for _, change := range changes {
		change(d)
	}
	return d
}

// restart forgets everything that a process can forget.
func (d *download) restart() {
	d.client.dead = false
	d.r = datadownload.New(engine.Engine{
		Options: d.r.Options, Client: d.client, Live: d.r.Live, Events: d.r.Events, Clock: d.r.Clock, Log: d.r.Log,
	})
}

// create creates the DataDownload as Velero's restore does.
func (d *download) create(ctx context.Context) {
	dd := d.DataDownload()
	if d.spec != nil {
		d.spec(&dd.Spec)
	}
	Expect(live.Create(ctx, dd)).To(Succeed())
	Eventually(func() error { return cached.Get(ctx, d.Key(), &v2alpha1.DataDownload{}) }).Should(Succeed())
}

// settle reconciles until nothing changes any more, and returns the last result.
func (d *download) settle(ctx context.Context) ctrl.Result {
	GinkgoHelper()
	for range 40 {
		d.syncCache(ctx)
		before := d.fingerprint(ctx, live)
		result, err := d.r.Reconcile(ctx, ctrlRequest(d))
		if d.client.dead {
			d.restart()
			continue
		}
		Expect(err).NotTo(HaveOccurred())
		if d.fingerprint(ctx, live) == before {
			return result
		}
	}
	Fail("the reconciler does not come to rest")
	return ctrl.Result{}
}

// settleAll lets the reconciler and the cluster's other controllers work until all is quiet.
func (d *download) settleAll(ctx context.Context) {
	GinkgoHelper()
	d.settle(ctx)
	for d.Collect(ctx) || d.Bind(ctx) {
		d.settle(ctx)
	}
}

// fingerprint changes whenever one of the objects does that the reconciler's cache holds.
func (d *download) fingerprint(ctx context.Context, reader client.Reader) string {
	text := ""
	for _, obj := range []client.Object{&v2alpha1.DataDownload{}, &corev1.Pod{}, &corev1.PersistentVolumeClaim{}} {
		Expect(client.IgnoreNotFound(reader.Get(ctx, d.Key(), obj))).To(Succeed())
		text += obj.GetResourceVersion() + " "
	}
	cache, list := &corev1.PersistentVolumeClaim{}, &corev1.PersistentVolumeList{}
	Expect(client.IgnoreNotFound(reader.Get(ctx, client.ObjectKey{Namespace: velero, Name: d.Name + "-cache"}, cache))).To(Succeed())
	Expect(reader.List(ctx, list, client.HasLabels{expose.OwnerUIDLabel})).To(Succeed())
	return fmt.Sprint(text, cache.ResourceVersion, versionsOf(list))
}

func (d *download) syncCache(ctx context.Context) {
	GinkgoHelper()
	Eventually(func() string { return d.fingerprint(ctx, cached) }).Should(Equal(d.fingerprint(ctx, live)))
}

func (d *download) get(ctx context.Context) *v2alpha1.DataDownload {
	GinkgoHelper()
	dd := &v2alpha1.DataDownload{}
	Expect(live.Get(ctx, d.Key(), dd)).To(Succeed())
	return dd
}

// advance brings the DataDownload into a phase on the way of a good run.
func (d *download) advance(ctx context.Context, phase v2alpha1.Phase) {
	GinkgoHelper()
	readyRepository(ctx)
	if phase != v2alpha1.PhaseNew {
		d.MakeTarget(ctx)
	}
	d.create(ctx)
	DeferCleanup(d.Forget)
	d.settle(ctx)
	if phase == v2alpha1.PhaseNew || phase == v2alpha1.PhaseAccepted {
		Expect(d.get(ctx).Status.Phase).To(Or(Equal(phase), BeEmpty()))
		return
	}
	if phase == v2alpha1.PhasePrepared {
		DeferCleanup(occupySlot(ctx))
	}
	d.provision(ctx)
	Expect(d.RunPod(ctx, nodeName)).To(BeTrue())
	d.settle(ctx)
	if phase == v2alpha1.PhaseCanceling {
		d.Cancel(ctx)
		d.settle(ctx)
	}
	Expect(d.get(ctx).Status.Phase).To(Equal(phase))
}

// provision lets restorePVC and cachePVC be bound, and what waits for that be done.
func (d *download) provision(ctx context.Context) {
	GinkgoHelper()
	Expect(d.Provision(ctx)).To(BeTrue())
	d.settle(ctx)
}

// expectHandedOver checks that the target PVC has the volume with the data, as if it had been provisioned for it.
func (d *download) expectHandedOver(ctx context.Context) {
	GinkgoHelper()
	volumes := d.Volumes(ctx)
	Expect(volumes).To(HaveLen(1))
	pv, target := volumes[0], d.Target(ctx)
	Expect(target.Spec.VolumeName).To(Equal(pv.Name))
	Expect(target.Status.Phase).To(Equal(corev1.ClaimBound))
	Expect(pv.Spec.ClaimRef.UID).To(Equal(target.UID))
	Expect(pv.Spec.PersistentVolumeReclaimPolicy).To(Equal(corev1.PersistentVolumeReclaimRetain), "what the class says")
	Expect(pv.Labels).To(Equal(target.Spec.Selector.MatchLabels))
	Expect(pv.Annotations).To(BeEmpty())
}

// expectNothingMade checks that nothing is left of what was made in Velero's namespace.
func (d *download) expectNothingMade(ctx context.Context) {
	GinkgoHelper()
	dd := &v2alpha1.DataDownload{}
	if err := live.Get(ctx, d.Key(), dd); err == nil {
		Expect(dd.Finalizers).To(BeEmpty())
		Expect(dd.Labels).NotTo(HaveKey(v2alpha1.ExposeOnGoingLabel))
	}
	Expect(apierrors.IsNotFound(live.Get(ctx, d.Key(), &corev1.Pod{}))).To(BeTrue(), "the restore pod is left")
	for _, name := range []string{d.Name, d.Name + "-cache"} {
		err := live.Get(ctx, client.ObjectKey{Namespace: velero, Name: name}, &corev1.PersistentVolumeClaim{})
		Expect(apierrors.IsNotFound(err)).To(BeTrue(), "PVC %s is left", name)
	}
}

// expectNothingLeft checks that no volume is left either, and that the target PVC is as it was.
func (d *download) expectNothingLeft(ctx context.Context) {
	GinkgoHelper()
	d.expectNothingMade(ctx)
	Expect(d.Volumes(ctx)).To(BeEmpty())
	if target := d.Target(ctx); target != nil {
		Expect(target.Spec.VolumeName).To(BeEmpty())
	}
}

// fragileClient is that of a process which is killed at one of its writes.
type fragileClient struct {
	client.Client
	// left is how many writes are left until then, if positive. after says whether that one takes effect.
	left  int
	after bool
	dead  bool
	// writes counts all that were tried.
	writes int
}

func (f *fragileClient) write(do func() error) error {
	if f.dead {
		return apierrors.NewInternalError(fmt.Errorf("killed"))
	}
	f.writes++
	if f.left > 0 {
		if f.left--; f.left == 0 {
			f.dead = true
			if f.after {
				_ = do()
			}
			return apierrors.NewInternalError(fmt.Errorf("killed"))
		}
	}
	return do()
}

func (f *fragileClient) Create(ctx context.Context, obj client.Object, opts ...client.CreateOption) error {
	return f.write(func() error { return f.Client.Create(ctx, obj, opts...) })
}

func (f *fragileClient) Delete(ctx context.Context, obj client.Object, opts ...client.DeleteOption) error {
	return f.write(func() error { return f.Client.Delete(ctx, obj, opts...) })
}

func (f *fragileClient) Patch(ctx context.Context, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
	return f.write(func() error { return f.Client.Patch(ctx, obj, patch, opts...) })
}

func ctrlRequest(d *download) ctrl.Request { return ctrl.Request{NamespacedName: d.Key()} }
