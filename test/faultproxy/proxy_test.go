package faultproxy_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/node-agent/node-agent/test/faultproxy"
)

func TestFaultProxy(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "fault proxy")
}

var _ = Describe("The proxy", func() {
	var (
		proxy   *faultproxy.Proxy
		clients *kubernetes.Clientset
		effects atomic.Int32
	)

	BeforeEach(func() {
		effects.Store(0)
		upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			effects.Add(1)
			w.Header().Set("Content-Type", "application/json")
			if r.URL.Query().Get("watch") != "true" {
				_, _ = fmt.Fprint(w, `{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}}`)
				return
			}
			_, _ = fmt.Fprintln(w, `{"type": "ADDED", "object": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}}}`)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}))
		DeferCleanup(upstream.Close)
		var err error
		proxy, err = faultproxy.Start(&rest.Config{Host: upstream.URL}, rand.New(rand.NewPCG(1, 1)))
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(proxy.Close)
		Expect(proxy.Config().Host).To(HavePrefix("https://"), "else clients do not send their token")
		clients, err = kubernetes.NewForConfig(proxy.Config())
		Expect(err).NotTo(HaveOccurred())
	})

	patch := func(ctx context.Context) error {
		_, err := clients.CoreV1().Pods("ns").Patch(ctx, "p", types.MergePatchType, []byte("{}"), metav1.PatchOptions{})
		return err
	}

	It("forwards what comes while no fault is due", func(ctx SpecContext) {
		Expect(patch(ctx)).To(Succeed())
		Expect(effects.Load()).To(BeEquivalentTo(1))
		Expect(proxy.Counts()).To(BeEmpty())
	})

	DescribeTable("lets a write go wrong", func(ctx SpecContext, kind faultproxy.Kind, took int, wrong func(error) bool) {
		proxy.SetRates(faultproxy.Rates{kind: 1})
		Expect(patch(ctx)).To(Satisfy(wrong))
		Expect(effects.Load()).To(BeEquivalentTo(took))
		Expect(proxy.Counts()).To(Equal(map[faultproxy.Kind]int{kind: 1}))
	},
		Entry("429", faultproxy.TooManyRequests, 0, apierrors.IsTooManyRequests),
		Entry("500", faultproxy.InternalError, 0, apierrors.IsInternalError),
		Entry("409", faultproxy.Conflict, 0, apierrors.IsConflict),
		Entry("cut before it took effect", faultproxy.CutBefore, 0, isCut),
		Entry("cut after it took effect", faultproxy.CutAfter, 1, isCut),
	)

	It("has no conflict for a read", func(ctx SpecContext) {
		proxy.SetRates(faultproxy.Rates{faultproxy.Conflict: 1})
		_, err := clients.CoreV1().Pods("ns").Get(ctx, "p", metav1.GetOptions{})
		Expect(err).NotTo(HaveOccurred())
	})

	It("cuts watches", func(ctx SpecContext) {
		watcher, err := clients.CoreV1().Pods("ns").Watch(ctx, metav1.ListOptions{})
		Expect(err).NotTo(HaveOccurred())
		Eventually(watcher.ResultChan()).Should(Receive(HaveField("Object", BeAssignableToTypeOf(&corev1.Pod{}))))
		Consistently(watcher.ResultChan()).WithTimeout(100 * time.Millisecond).ShouldNot(Receive())
		proxy.SetRates(faultproxy.Rates{faultproxy.WatchCut: 1})
		Eventually(watcher.ResultChan()).WithTimeout(5 * time.Second).Should(BeClosed())
		Expect(proxy.Counts()).To(Equal(map[faultproxy.Kind]int{faultproxy.WatchCut: 1}))
	})
})

// isCut tells whether there was no answer at all.
func isCut(err error) bool {
	_, answered := err.(apierrors.APIStatus)
	return err != nil && !answered
}
