package s3

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/node-agent/node-agent/pkg/repository/store/storetest"
)

const (
	bucket       = "backups"
	dottedBucket = "with.dots"
	accessKey    = "AKIDEXAMPLE"
	secretKey    = "wJalrXUtnFEMI#K7MDENG;bPxRfiCYEXAMPLEKEY"
)

// server is an S3 server that is reached at whatever address is asked for, with and without TLS, and writes down what it
// was asked.
type server struct {
	handler http.Handler

	plain, tls *httptest.Server

	mu       sync.Mutex
	requests []*http.Request
}

// newServer makes a server with buckets, whose names it takes from the host of a request if they are there.
func newServer() *server {
	backend := s3mem.New()
	for _, name := range []string{bucket, dottedBucket} {
		Expect(backend.CreateBucket(name)).To(Succeed())
	}
	byPath := gofakes3.New(backend).Server()
	byHost := gofakes3.New(backend, gofakes3.WithHostBucket(true)).Server()
	result := &server{handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.Host, bucket+".") {
			byHost.ServeHTTP(w, r)
		} else {
			byPath.ServeHTTP(w, r)
		}
	})}
	result.plain = httptest.NewServer(result)
	DeferCleanup(result.plain.Close)
	result.tls = storetest.Serve(result)
	return result
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests = append(s.requests, r)
	s.mu.Unlock()
	s.handler.ServeHTTP(w, r)
}

// address is where a request was sent.
func address(r *http.Request) string {
	scheme := "http://"
	if r.TLS != nil {
		scheme = "https://"
	}
	return scheme + r.Host + r.URL.Path
}

// only are the requests with a method.
func (s *server) only(method string) []*http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	var result []*http.Request
	for _, request := range s.requests {
		if request.Method == method {
			result = append(result, request)
		}
	}
	return result
}

// open opens a bucket of the server.
func (s *server) open(ctx context.Context, options Options) (*Storage, error) {
	GinkgoHelper()
	if options.Bucket == "" {
		options.Bucket = bucket
	}
	if options.CredentialsFile == "" {
		options.CredentialsFile = writeFile("[default]\naws_access_key_id=" + accessKey + "\naws_secret_access_key=" + secretKey)
	}
	options.SkipTLSVerify = true
	services, bucket, err := options.clients()
	Expect(err).NotTo(HaveOccurred())
	return open(ctx, options, services, bucket.WithTransportOptions(func(transport *http.Transport) {
		dialer := transport.DialContext
		transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			target := s.plain
			if strings.HasSuffix(address, ":443") || strings.HasSuffix(address, ":9443") {
				target = s.tls
			}
			return dialer(ctx, network, target.Listener.Addr().String())
		}
	}))
}

// writeFile puts text into a file of its own and returns its path.
func writeFile(text string) string {
	GinkgoHelper()
	path := filepath.Join(GinkgoT().TempDir(), "file")
	Expect(os.WriteFile(path, []byte(text), 0o600)).To(Succeed())
	return path
}
