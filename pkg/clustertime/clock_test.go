package clustertime_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/node-agent/node-agent/pkg/clustertime"
)

func TestClusterTime(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Cluster time")
}

var _ = Describe("a clock of the cluster", func() {
	var local *clocktesting.FakeClock
	var cluster *clustertime.Clock
	truth := time.Unix(1_800_000_000, 0)

	BeforeEach(func() {
		local = clocktesting.NewFakeClock(truth)
		cluster = clustertime.New(local)
	})

	// ask asks a server whose clock shows a time. The answer takes a while by the local clock.
	ask := func(ctx context.Context, server time.Time, takes time.Duration) {
		api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Date"] = nil
			if !server.IsZero() {
				w.Header().Set("Date", server.UTC().Format(http.TimeFormat))
			}
			local.Step(takes)
		}))
		defer api.Close()
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, api.URL, http.NoBody)
		Expect(err).NotTo(HaveOccurred())
		response, err := (&http.Client{Transport: cluster.Wrap(http.DefaultTransport)}).Do(request)
		Expect(err).NotTo(HaveOccurred())
		Expect(response.Body.Close()).To(Succeed())
	}

	It("is exactly that of the node where both may be right", func(ctx context.Context) {
		for _, later := range []time.Duration{0, time.Millisecond, time.Second / 2, 999 * time.Millisecond} {
			local.SetTime(truth.Add(later))
			ask(ctx, truth, 0)
			Expect(cluster.Now()).To(Equal(local.Now()))
		}
		ask(ctx, truth.Add(time.Minute), 2*time.Minute)
		Expect(cluster.Now()).To(Equal(local.Now()), "a slow answer tells little")
		ask(ctx, time.Time{}, 0)
		Expect(cluster.Now()).To(Equal(local.Now()), "one without a date tells nothing")
	})

	DescribeTable("is that of the API server where the node's is wrong", func(ctx context.Context, skew time.Duration) {
		local.SetTime(truth.Add(skew))
		ask(ctx, truth, 0)
		Expect(cluster.Now()).To(BeTemporally("~", truth, time.Second))
		ask(ctx, truth, 20*time.Second)
		Expect(cluster.Now()).To(BeTemporally("~", truth.Add(20*time.Second), time.Second), "a slow answer tells nothing better")
		Expect(cluster.Since(truth)).To(BeNumerically("~", 20*time.Second, time.Second))

		By("and the node's again when that was put right")
		local.SetTime(truth)
		ask(ctx, truth, 0)
		Expect(cluster.Now()).To(Equal(truth))
	},
		Entry("ahead", time.Minute),
		Entry("behind", -time.Minute),
		Entry("by a day", 24*time.Hour),
	)
})
