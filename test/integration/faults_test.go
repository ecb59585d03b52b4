package integration

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/expose"
)

// fault is what can happen to one API call.
type fault struct {
	name string
	// performed tells whether the call takes effect.
	performed bool
	// code is what the API server answers instead, 0 for no answer at all.
	code int
	// deadly faults end the process: no call of the same pass comes through any more.
	deadly bool
}

var faults = []fault{
	{name: "killed before", deadly: true},
	{name: "killed after", deadly: true, performed: true},
	{name: "time-out before"},
	{name: "time-out after", performed: true},
	{name: "answer 409", code: http.StatusConflict},
	{name: "answer 429", code: http.StatusTooManyRequests},
	{name: "answer 500", code: http.StatusInternalServerError},
}

var errNoAnswer = errors.New("injected: no answer")

// faultyTransport counts the API calls of a reconciler and does something to one of them.
type faultyTransport struct {
	next  http.RoundTripper
	calls []string
	// at is the number of the call that fails, from 0; -1 for none.
	at    int
	fault fault
	dead  bool
}

func (f *faultyTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	if f.dead {
		return nil, errNoAnswer
	}
	number := len(f.calls)
	f.calls = append(f.calls, request.Method+" "+request.URL.Path)
	if number != f.at {
		return f.next.RoundTrip(request)
	}
	f.dead = f.fault.deadly
	if f.fault.code != 0 {
		return answer(request, f.fault.code), nil
	}
	if f.fault.performed {
		response, err := f.next.RoundTrip(request)
		if err != nil {
			return nil, err
		}
		if err := response.Body.Close(); err != nil {
			return nil, err
		}
	}
	return nil, errNoAnswer
}

func answer(request *http.Request, code int) *http.Response {
	reason := map[int]string{
		http.StatusConflict: "Conflict", http.StatusTooManyRequests: "TooManyRequests", http.StatusInternalServerError: "InternalError",
	}[code]
	body := fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","status":"Failure","message":"injected","reason":%q,"code":%d}`, reason, code)
	return &http.Response{
		StatusCode: code, Status: http.StatusText(code), Request: request, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)),
	}
}

// scenario is one way a DataUpload can go.
type scenario struct {
	name string
	// at is the phase in which act happens once.
	at  v2alpha1.DataUploadPhase
	act func(context.Context, *trial)
	// want is the phase it must end in; empty if it is deleted.
	want v2alpha1.DataUploadPhase
	// moverFails lets the mover end with an error.
	moverFails bool
	changes    []func(*trial)
}

func deleteUpload(ctx context.Context, t *trial) {
	Expect(client.IgnoreNotFound(live.Delete(ctx, t.upload(ctx)))).To(Succeed())
}

func passTime(_ context.Context, t *trial) { t.clock.SetTime(t.clock.Now().Add(2 * prepareTimeout)) }

func scenarios() []scenario {
	all := []scenario{
		{name: "success", want: v2alpha1.DataUploadPhaseCompleted},
		{name: "success of a class with policy Retain", want: v2alpha1.DataUploadPhaseCompleted, changes: []func(*trial){retainedClass}},
		{name: "mover failure", want: v2alpha1.DataUploadPhaseFailed, moverFails: true},
		{
			name: "prepare timeout", at: v2alpha1.DataUploadPhaseAccepted, act: passTime,
			want: v2alpha1.DataUploadPhaseCanceled, changes: []func(*trial){missingClass},
		},
	}
	cancel := func(ctx context.Context, t *trial) { t.cancel(ctx) }
	for _, phase := range []v2alpha1.DataUploadPhase{
		v2alpha1.DataUploadPhaseNew, v2alpha1.DataUploadPhaseAccepted, v2alpha1.DataUploadPhasePrepared, v2alpha1.DataUploadPhaseInProgress,
	} {
		all = append(all, scenario{name: "cancel in " + string(phase), at: phase, act: cancel, want: v2alpha1.DataUploadPhaseCanceled})
		if phase != v2alpha1.DataUploadPhaseNew { // before it is accepted nothing guards it, and nothing has been made
			all = append(all, scenario{name: "deletion in " + string(phase), at: phase, act: deleteUpload})
		}
	}
	return all
}

// play lets everything in the cluster happen that can, until the DataUpload is settled or gone. A killed reconciler is
// started anew.
func (t *trial) play(ctx context.Context, sc scenario, transport *faultyTransport) {
	GinkgoHelper()
	acted := sc.act == nil
	for range 60 {
		if !acted && reached(t.phaseNow(ctx), sc.at) {
			acted = true
			sc.act(ctx, t)
		}
		t.syncCache(ctx)
		_, err := t.r.Reconcile(ctx, ctrl.Request{NamespacedName: t.key()})
		if err != nil {
			Expect(err.Error()).To(ContainSubstring("injected"), "only what was injected may fail")
		}
		if transport.dead {
			transport.dead = false
			t.restart()
		}
		du := &v2alpha1.DataUpload{}
		if apierrors.IsNotFound(live.Get(ctx, t.key(), du)) {
			return
		}
		if !acted && reached(du.Status.Phase, sc.at) {
			continue
		}
		if du.Status.Phase.IsTerminal() && len(du.Finalizers) == 0 && err == nil {
			return
		}
		t.playCluster(ctx, du, sc)
	}
	Fail(fmt.Sprintf("it does not end: %+v", t.status(ctx)))
}

// playCluster lets the cluster's other controllers take one step each.
func (t *trial) playCluster(ctx context.Context, du *v2alpha1.DataUpload, sc scenario) {
	pod, pvc := &corev1.Pod{}, &corev1.PersistentVolumeClaim{}
	hasPod, hasPVC := live.Get(ctx, t.key(), pod) == nil, live.Get(ctx, t.key(), pvc) == nil
	t.bindAliasIfAny(ctx)
	if hasPVC && pvc.Status.Phase != corev1.ClaimBound && pvc.DeletionTimestamp.IsZero() && *pvc.Spec.StorageClassName != "missing" {
		t.provision(ctx)
	}
	switch {
	case !hasPod || !pod.DeletionTimestamp.IsZero():
	case pod.Spec.NodeName == "" && hasPVC && pvc.Status.Phase == corev1.ClaimBound:
		t.runPod(ctx)
	case pod.Status.Phase == corev1.PodRunning && du.Status.Phase == v2alpha1.DataUploadPhaseInProgress && !du.Spec.Cancel:
		if sc.moverFails {
			t.endPod(ctx, corev1.PodFailed, "cannot read /data/x: input/output error")
		} else {
			t.endPod(ctx, corev1.PodSucceeded, goodResult)
		}
	}
	t.collect(ctx)
	// While data may still be read, the storage snapshot must be there.
	if phase := t.phaseNow(ctx); phase != "" && !phase.IsTerminal() {
		Expect(storage.deleted).NotTo(HaveKey(handleOf(t.name)), "deleted in phase %s", phase)
	}
}

func (t *trial) phaseNow(ctx context.Context) v2alpha1.DataUploadPhase {
	du := &v2alpha1.DataUpload{}
	if live.Get(ctx, t.key(), du) != nil {
		return ""
	}
	return du.Status.Phase
}

// reached tells whether a phase is the one in question; an empty phase is New.
func reached(phase, want v2alpha1.DataUploadPhase) bool {
	return phase == want || phase == "" && want == v2alpha1.DataUploadPhaseNew
}

// run plays a scenario with a fault at one call, and returns the calls that were made.
func run(ctx context.Context, sc scenario, at int, f fault) []string {
	GinkgoHelper()
	transport := &faultyTransport{at: at, fault: f}
	t := newTrial(sc.changes...)
	t.useTransport(transport)
	readyRepository(ctx)
	t.makeSource(ctx)
	t.create(ctx)
	if sc.at == v2alpha1.DataUploadPhasePrepared {
		// It stays there only while another one moves data.
		defer occupySlot(ctx)()
	}
	t.play(ctx, sc, transport)
	t.collectAll(ctx)
	du := &v2alpha1.DataUpload{}
	if err := live.Get(ctx, t.key(), du); err == nil {
		Expect(du.Status.Phase).To(Equal(sc.want))
		Expect(du.Labels).NotTo(HaveKey("velero.io/expose-on-going"))
		if sc.want == v2alpha1.DataUploadPhaseCompleted {
			Expect(du.Status.SnapshotID).To(Equal("k1"))
		} else {
			Expect(du.Status.Message).NotTo(BeEmpty())
		}
	} else {
		Expect(sc.want).To(BeEmpty(), "the DataUpload is gone")
	}
	t.expectNothingLeft(ctx)
	return transport.calls
}

// useTransport lets the reconciler's calls to the API server, but not its cache's, go through the transport.
func (t *trial) useTransport(transport *faultyTransport) {
	config := rest.CopyConfig(plane.Config)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		transport.next = next
		return transport
	})
	var err error
	t.r.Live, err = client.New(config, client.Options{Scheme: live.Scheme(), Mapper: live.RESTMapper()})
	Expect(err).NotTo(HaveOccurred())
	t.r.Client, err = client.New(config, client.Options{
		Scheme: live.Scheme(), Mapper: live.RESTMapper(), Cache: &client.CacheOptions{Reader: reconcilerCache},
	})
	Expect(err).NotTo(HaveOccurred())
}

// collectAll lets the cluster finish what it is deleting.
func (t *trial) collectAll(ctx context.Context) {
	for range 10 {
		if !t.collect(ctx) {
			return
		}
	}
}

// stride is how many calls are passed over between two that get a fault: all get one in `make faults`.
func stride() int {
	if os.Getenv("FAULTS") == "all" {
		return 1
	}
	return 12
}

var _ = Describe("faults of single API calls", Label("faults"), func() {
	for _, sc := range scenarios() {
		It("change nothing about "+sc.name, func(ctx context.Context) {
			started := time.Now()
			calls := run(ctx, sc, -1, fault{})
			injected := 0
			for i, f := range faults {
				for at := i % stride(); at < len(calls); at += stride() {
					By(fmt.Sprintf("%s call %d, %s", f.name, at, calls[at]))
					run(ctx, sc, at, f)
					injected++
				}
			}
			AddReportEntry(sc.name, fmt.Sprintf("%d calls, %d faults injected, all ended right, nothing left, took %s",
				len(calls), injected, time.Since(started).Round(time.Second)), ReportEntryVisibilityAlways)
		})
	}
})

// bindAliasIfAny binds the alias pair when both are there and not bound yet.
func (t *trial) bindAliasIfAny(ctx context.Context) {
	snapshot, content := t.aliasPair(ctx)
	if snapshot != nil && content != nil && !expose.IsReady(snapshot) &&
		snapshot.DeletionTimestamp.IsZero() && content.DeletionTimestamp.IsZero() {
		t.bindAlias(ctx)
	}
}
