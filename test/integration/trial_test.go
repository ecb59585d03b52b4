package integration

import (
	"context"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/sirupsen/logrus"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/config"
	"github.com/node-agent/node-agent/pkg/controller/dataupload"
	"github.com/node-agent/node-agent/pkg/controller/engine"
	"github.com/node-agent/node-agent/pkg/expose"
)

const (
	prepareTimeout = 30 * time.Minute
	maxAttempts    = 3
)

// trial is one DataUpload with its own reconciler and clock.
type trial struct {
	name   string
	class  string
	mode   corev1.PersistentVolumeMode
	policy snapshotv1.DeletionPolicy
	spec   func(*v2alpha1.DataUploadSpec)

	clock    *clocktesting.FakePassiveClock
	recorder *events.FakeRecorder
	r        *dataupload.Reconciler

	// said counts what others have recorded about the trial's objects.
	said int
	// webhook refuses the trial's pods, in some specs.
	webhook *httptest.Server
}

var trials int

// newTrial prepares a DataUpload of a file-system volume, with a repository that is ready.
func newTrial(changes ...func(*trial)) *trial {
	trials++
	t := &trial{
		name: fmt.Sprintf("upload-%d", trials), class: fastClass, mode: corev1.PersistentVolumeFilesystem,
		policy: snapshotv1.VolumeSnapshotContentDelete,
		// Whole seconds, because that is what the API keeps.
		clock:    clocktesting.NewFakePassiveClock(time.Unix(time.Now().Unix(), 0)),
		recorder: events.NewFakeRecorder(100),
	}
	log := logrus.New()
	log.SetOutput(GinkgoWriter)
	t.r = dataupload.New(engine.Engine{
		Options: engine.Options{
			Namespace: velero, NodeName: "agent-node", Config: config.Default, PrepareTimeout: prepareTimeout, MaxAttempts: maxAttempts,
		},
		Client: cached, Live: live, Events: t.recorder, Clock: t.clock, Log: log,
	})
	for _, change := range changes {
		change(t)
	}
	return t
}

func (t *trial) key() client.ObjectKey { return client.ObjectKey{Namespace: velero, Name: t.name} }

func (t *trial) request() ctrl.Request { return ctrl.Request{NamespacedName: t.key()} }

// create creates the DataUpload as Velero's backup does.
func (t *trial) create(ctx context.Context) {
	du := t.inCluster().DataUpload()
	if t.spec != nil {
		t.spec(&du.Spec)
	}
	Expect(live.Create(ctx, du)).To(Succeed())
	Eventually(func() error { return cached.Get(ctx, t.key(), &v2alpha1.DataUpload{}) }).Should(Succeed())
}

// settle reconciles until nothing changes any more, and returns the last result.
func (t *trial) settle(ctx context.Context) ctrl.Result {
	GinkgoHelper()
	for range 30 {
		t.syncCache(ctx)
		before := t.fingerprint(ctx, known)
		result, err := t.r.Reconcile(ctx, ctrl.Request{NamespacedName: t.key()})
		Expect(err).NotTo(HaveOccurred())
		if t.fingerprint(ctx, known) == before {
			return result
		}
	}
	Fail("the reconciler does not come to rest")
	return ctrl.Result{}
}

// settleAll lets the reconciler and the cluster's other controllers work until all is quiet.
func (t *trial) settleAll(ctx context.Context) {
	GinkgoHelper()
	t.settle(ctx)
	for t.collect(ctx) {
		t.settle(ctx)
	}
}

// fingerprint changes whenever one of the trial's objects does.
func (t *trial) fingerprint(ctx context.Context, reader client.Reader) string {
	var versions []string
	for _, obj := range []client.Object{
		&v2alpha1.DataUpload{}, &corev1.Pod{}, &corev1.PersistentVolumeClaim{}, &snapshotv1.VolumeSnapshot{},
	} {
		err := reader.Get(ctx, t.key(), obj)
		Expect(client.IgnoreNotFound(err)).To(Succeed())
		versions = append(versions, obj.GetResourceVersion())
	}
	source, content := &snapshotv1.VolumeSnapshot{}, &snapshotv1.VolumeSnapshotContent{}
	Expect(client.IgnoreNotFound(reader.Get(ctx, client.ObjectKey{Namespace: "shop", Name: "velero-" + t.name}, source))).To(Succeed())
	Expect(client.IgnoreNotFound(reader.Get(ctx, client.ObjectKey{Name: t.name}, content))).To(Succeed())
	versions = append(versions, source.ResourceVersion, content.ResourceVersion)
	for _, list := range []client.ObjectList{&corev1.PersistentVolumeList{}, &velerov1.BackupRepositoryList{}} {
		Expect(reader.List(ctx, list, client.HasLabels(labelsOf(list)))).To(Succeed())
		versions = append(versions, versionsOf(list)...)
	}
	return strings.Join(versions, " ")
}

func labelsOf(list client.ObjectList) []string {
	if _, isPV := list.(*corev1.PersistentVolumeList); isPV {
		return []string{expose.OwnerUIDLabel}
	}
	return nil
}

func versionsOf(list client.ObjectList) []string {
	var versions []string
	switch l := list.(type) {
	case *corev1.PersistentVolumeList:
		for i := range l.Items {
			versions = append(versions, l.Items[i].ResourceVersion)
		}
	case *velerov1.BackupRepositoryList:
		for i := range l.Items {
			versions = append(versions, l.Items[i].ResourceVersion)
		}
	}
	slices.Sort(versions) // a cache lists in any order
	return versions
}

// syncCache waits until the reconciler's cache shows what is in the cluster.
func (t *trial) syncCache(ctx context.Context) {
	GinkgoHelper()
	Eventually(func() string { return t.fingerprint(ctx, cached) }).Should(Equal(t.fingerprint(ctx, known)))
}

func (t *trial) upload(ctx context.Context) *v2alpha1.DataUpload {
	GinkgoHelper()
	du := &v2alpha1.DataUpload{}
	Expect(live.Get(ctx, t.key(), du)).To(Succeed())
	return du
}

func (t *trial) status(ctx context.Context) v2alpha1.DataUploadStatus {
	GinkgoHelper()
	return t.upload(ctx).Status
}

// advance brings the DataUpload into a phase on the way of a good run.
func (t *trial) advance(ctx context.Context, phase v2alpha1.Phase) {
	GinkgoHelper()
	readyRepository(ctx)
	t.makeSource(ctx)
	t.create(ctx)
	if phase == v2alpha1.PhaseNew {
		return
	}
	t.settle(ctx)
	t.bindAlias(ctx)
	t.settle(ctx)
	if phase == v2alpha1.PhaseAccepted {
		Expect(t.status(ctx).Phase).To(Equal(phase))
		return
	}
	release := func() {}
	if phase == v2alpha1.PhasePrepared {
		release = occupySlot(ctx)
	}
	DeferCleanup(release)
	t.provision(ctx)
	t.runPod(ctx)
	t.settle(ctx)
	if phase == v2alpha1.PhaseCanceling {
		t.cancel(ctx)
		t.settle(ctx)
	}
	Expect(t.status(ctx).Phase).To(Equal(phase))
}

// occupySlot lets another DataUpload move data on the node. It returns how to end that.
func occupySlot(ctx context.Context) func() {
	other := &v2alpha1.DataUpload{
		ObjectMeta: metav1.ObjectMeta{Namespace: velero, GenerateName: "other-"},
		Spec:       v2alpha1.DataUploadSpec{SnapshotType: v2alpha1.SnapshotTypeCSI, BackupStorageLocation: goodPlace},
		Status:     v2alpha1.DataUploadStatus{TransferStatus: v2alpha1.TransferStatus{Phase: v2alpha1.PhaseInProgress, Node: nodeName}},
	}
	return leaveLater(ctx, other)
}

// expectNothingLeft checks that everything of the DataUpload is gone, and its storage snapshot was deleted once.
func (t *trial) expectNothingLeft(ctx context.Context) {
	GinkgoHelper()
	for _, obj := range []client.Object{&corev1.Pod{}, &corev1.PersistentVolumeClaim{}, &snapshotv1.VolumeSnapshot{}} {
		Expect(apierrors.IsNotFound(live.Get(ctx, t.key(), obj))).To(BeTrue(), "%T is left", obj)
	}
	Expect(apierrors.IsNotFound(live.Get(ctx, client.ObjectKey{Namespace: "shop", Name: "velero-" + t.name}, &snapshotv1.VolumeSnapshot{}))).
		To(BeTrue(), "the source volumesnapshot is left")
	for _, name := range []string{t.name, "snapcontent-" + t.name} {
		Expect(apierrors.IsNotFound(live.Get(ctx, client.ObjectKey{Name: name}, &snapshotv1.VolumeSnapshotContent{}))).
			To(BeTrue(), "volumesnapshotcontent %s is left", name)
	}
	volumes := &corev1.PersistentVolumeList{}
	Expect(live.List(ctx, volumes)).To(Succeed())
	for _, pv := range volumes.Items {
		if pv.Spec.ClaimRef != nil {
			Expect(pv.Spec.ClaimRef.Name).NotTo(Equal(t.name), "persistent volume %s is left", pv.Name)
		}
	}
	Expect(world.Deleted()[t.inCluster().Handle()]).To(Equal(1), "how often the storage snapshot was deleted")
}

// events drains the events that were emitted so far.
func (t *trial) events() []string { return drain(t.recorder) }

func drain(recorder *events.FakeRecorder) []string {
	var all []string
	for {
		select {
		case e := <-recorder.Events:
			all = append(all, e)
		default:
			return all
		}
	}
}

// restart forgets everything that a process can forget.
func (t *trial) restart() {
	t.r = dataupload.New(engine.Engine{
		Options: t.r.Options, Client: t.r.Client, Live: t.r.Live, Events: t.r.Events, Clock: t.r.Clock, Log: t.r.Log,
	})
}

// abandon cancels the DataUpload and lets it be cleaned up, so that it holds no slot.
func (t *trial) abandon(ctx context.Context) {
	t.cancel(ctx)
	t.settleAll(ctx)
	Expect(t.upload(ctx).Finalizers).To(BeEmpty())
}

func (t *trial) sourceStatus(ctx context.Context, status *snapshotv1.VolumeSnapshotStatus) {
	source := &snapshotv1.VolumeSnapshot{}
	Expect(live.Get(ctx, client.ObjectKey{Namespace: "shop", Name: "velero-" + t.name}, source)).To(Succeed())
	source.Status = status
	Expect(live.Status().Update(ctx, source)).To(Succeed())
}

// repositoryError lets the Velero server find that the repository cannot be used.
func repositoryError(ctx context.Context, message string) {
	repository := &velerov1.BackupRepository{}
	Expect(live.Get(ctx, client.ObjectKey{Namespace: velero, Name: "shop-default-kopia"}, repository)).To(Succeed())
	repository.Status = velerov1.BackupRepositoryStatus{Phase: velerov1.BackupRepositoryPhaseNotReady, Message: message}
	Expect(live.Update(ctx, repository)).To(Succeed())
}

// setCacheLimit limits the caches of the repository, until the end of the spec.
func setCacheLimit(ctx context.Context, value string) {
	readyRepository(ctx)
	set := func(ctx context.Context, config map[string]string) {
		repository := &velerov1.BackupRepository{}
		Expect(live.Get(ctx, client.ObjectKey{Namespace: velero, Name: "shop-default-kopia"}, repository)).To(Succeed())
		repository.Spec.RepositoryConfig = config
		Expect(live.Update(ctx, repository)).To(Succeed())
	}
	set(ctx, map[string]string{"cacheLimitMB": value})
	DeferCleanup(func(ctx context.Context) { set(ctx, nil) })
}
