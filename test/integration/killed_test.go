package integration

import (
	"context"
	"errors"
	"net/http"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
)

var errKilled = errors.New("the process was killed")

// killingTransport counts the API calls of a reconciler, and kills it right after one of them took effect. All that can
// happen to a call is played in test/faults.
type killingTransport struct {
	next  http.RoundTripper
	calls []string
	// at is the number of the last call, from 0; -1 lets it live.
	at   int
	dead bool
}

func (k *killingTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	if k.dead {
		return nil, errKilled
	}
	number := len(k.calls)
	k.calls = append(k.calls, request.Method+" "+request.URL.Path)
	response, err := k.next.RoundTrip(request)
	if err != nil || number != k.at {
		return response, err
	}
	k.dead = true
	return nil, errors.Join(errKilled, response.Body.Close())
}

// revive lets the next process live.
func (k *killingTransport) revive() { k.dead, k.at = false, -1 }

// useTransport lets the reconciler's calls to the API server, but not its cache's, go through the transport.
func (t *trial) useTransport(transport *killingTransport) {
	config := rest.CopyConfig(plane.Config)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		transport.next = next
		return transport
	})
	options := client.Options{Scheme: live.Scheme(), Mapper: live.RESTMapper()}
	var err error
	t.r.Live, err = client.New(config, options)
	Expect(err).NotTo(HaveOccurred())
	options.Cache = &client.CacheOptions{Reader: reconcilerCache}
	t.r.Client, err = client.New(config, options)
	Expect(err).NotTo(HaveOccurred())
}

// callsOfGoodRun plays a good run and returns the API calls of its reconciler.
func callsOfGoodRun(ctx context.Context) []string {
	GinkgoHelper()
	t, transport := newTrial(), &killingTransport{at: -1}
	t.useTransport(transport)
	readyRepository(ctx)
	t.makeSource(ctx)
	t.create(ctx)
	for range 60 {
		t.syncCache(ctx)
		_, err := t.r.Reconcile(ctx, ctrl.Request{NamespacedName: t.key()})
		Expect(err).NotTo(HaveOccurred())
		if du := t.upload(ctx); du.Status.Phase.IsTerminal() && len(du.Finalizers) == 0 {
			return transport.calls
		}
		t.playCluster(ctx)
	}
	Fail("it comes to no end")
	return nil
}

// playCluster lets each of the cluster's other controllers, and a mover, take a step.
func (t *trial) playCluster(ctx context.Context) {
	u := t.inCluster()
	u.BindAlias(ctx)
	if !u.Provision(ctx) && !u.RunPod(ctx, nodeName) {
		if pod := u.Pod(ctx); pod != nil && pod.Status.Phase == corev1.PodRunning && t.status(ctx).Phase == v2alpha1.PhaseInProgress {
			u.EndPod(ctx, 0, "Completed", goodResult)
		}
	}
	u.Collect(ctx)
}

// collectAll lets the cluster finish what it is deleting.
func (t *trial) collectAll(ctx context.Context) {
	for range 10 {
		if !t.collect(ctx) {
			return
		}
	}
}
