package integration

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
)

// countingProxy stands before the API server and notes what it is asked for.
type countingProxy struct {
	mutex    sync.Mutex
	requests []string
}

// start returns a kubeconfig file that leads through the proxy.
func (p *countingProxy) start() string {
	transport, err := rest.TransportFor(plane.Config)
	Expect(err).NotTo(HaveOccurred())
	target, err := url.Parse(plane.Config.Host)
	Expect(err).NotTo(HaveOccurred())
	forward := &httputil.ReverseProxy{
		Transport:     transport,
		FlushInterval: -1, // watches
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mutex.Lock()
		p.requests = append(p.requests, r.Method+" "+r.URL.Path)
		p.mutex.Unlock()
		forward.ServeHTTP(w, r)
	}))
	DeferCleanup(func() { server.CloseClientConnections(); server.Close() })
	file := filepath.Join(GinkgoT().TempDir(), "kubeconfig")
	Expect(os.WriteFile(file, fmt.Appendf(nil, `{apiVersion: v1, kind: Config, current-context: c,
clusters: [{name: c, cluster: {server: %q}}], contexts: [{name: c, context: {cluster: c, user: c}}], users: [{name: c}]}`, server.URL), 0o600)).To(Succeed())
	return file
}

// take returns the requests since the last call.
func (p *countingProxy) take() []string {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	requests := p.requests
	p.requests = nil
	return requests
}

// What a DataUpload costs must not depend on how many agents there are: the fault suite counts the leader's calls, and the
// others make none.
var _ = Describe("an agent that does not lead", Ordered, func() {
	BeforeAll(prepareAgents)

	It("asks for the lease and for nothing else, whatever there is to do", func(ctx context.Context) {
		_, _, metrics := startAgent()
		Eventually(func() string { _, body := get("http://" + metrics + "/metrics"); return body }).
			WithTimeout(takeOver).Should(ContainSubstring("node_agent_leading 1"))
		proxy := &countingProxy{}
		_, health, _ := startAgent("--kubeconfig", proxy.start())
		Eventually(func() int { code, _ := get("http://" + health + "/readyz"); return code }).Should(Equal(http.StatusOK))
		proxy.take()

		for n := range 5 {
			du := &v2alpha1.DataUpload{
				ObjectMeta: metav1.ObjectMeta{Namespace: agentNamespace, Name: fmt.Sprintf("tape-%d", n)},
				Spec:       v2alpha1.DataUploadSpec{SnapshotType: "Tape"},
			}
			Expect(live.Create(ctx, du)).To(Succeed())
			Eventually(func() v2alpha1.Phase {
				Expect(live.Get(ctx, client.ObjectKeyFromObject(du), du)).To(Succeed())
				return du.Status.Phase
			}).Should(Equal(v2alpha1.PhaseFailed), "the leader looks after it")
		}
		var requests []string
		Eventually(func() []string { requests = append(requests, proxy.take()...); return requests }).
			WithTimeout(takeOver).Should(Not(BeEmpty()))
		Consistently(func() []string { requests = append(requests, proxy.take()...); return requests }).
			WithTimeout(3 * time.Second).WithPolling(100 * time.Millisecond).
			Should(HaveEach(Satisfy(func(request string) bool {
				return strings.HasSuffix(request, "/namespaces/"+agentNamespace+"/leases/node-agent")
			})))
	})
})
