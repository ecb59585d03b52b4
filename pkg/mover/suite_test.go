package mover_test

import (
	"net/http"
	"path/filepath"
	"sync"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/node-agent/node-agent/pkg/mover"
)

var (
	environment *envtest.Environment
	restConfig  *rest.Config
	// k8s is the test's own client. What the mover calls is counted apart.
	k8s client.WithWatch
	// admin makes what the mover's client does not know.
	admin client.Client
)

func TestMover(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Mover")
}

var _ = BeforeSuite(func() {
	logf.SetLogger(GinkgoLogr)
	environment = &envtest.Environment{
		CRDDirectoryPaths:     []string{filepath.Join("..", "..", "config", "crd")},
		ErrorIfCRDPathMissing: true,
	}
	var err error
	restConfig, err = environment.Start()
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(environment.Stop()).To(Succeed()) })
	// The specs must not wait for a rate limit.
	restConfig.QPS = -1
	k8s, err = mover.NewClient(restConfig)
	Expect(err).NotTo(HaveOccurred())
	admin, err = client.New(restConfig, client.Options{})
	Expect(err).NotTo(HaveOccurred())
})

// countingTransport records the API calls that pass through it.
type countingTransport struct {
	next http.RoundTripper

	mutex   sync.Mutex
	calls   []string
	watches int
}

func (t *countingTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	t.mutex.Lock()
	if request.URL.Query().Has("watch") {
		t.watches++
	} else {
		t.calls = append(t.calls, request.Method+" "+request.URL.Path)
	}
	t.mutex.Unlock()
	return t.next.RoundTrip(request)
}

func (t *countingTransport) counted() ([]string, int) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	return append([]string(nil), t.calls...), t.watches
}
