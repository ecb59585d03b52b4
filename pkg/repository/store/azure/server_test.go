package azure

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/node-agent/node-agent/pkg/repository/store/storetest"
	"github.com/node-agent/node-agent/pkg/repository/store/transport"
)

const (
	account  = "acct"
	contents = "backups"
)

// accountKey is what the account's requests are signed with.
var accountKey = base64.StdEncoding.EncodeToString([]byte("key of the account"))

// cloudServer is what Azure does of what is needed here, at whatever address it is asked for: blobs, tokens, the resource manager
// and the metadata of a node. It writes down what it was asked.
type cloudServer struct {
	server *httptest.Server

	mu       sync.Mutex
	blobs    map[string]string
	requests []*http.Request
}

func newCloud() *cloudServer {
	result := &cloudServer{blobs: map[string]string{}}
	result.server = storetest.Serve(result)
	return result
}

// open opens the container.
func (c *cloudServer) open(ctx context.Context, change func(*Options)) (*Storage, error) {
	options := Options{Container: contents, Prefix: "p/", Account: account}
	change(&options)
	connections, err := transport.New(nil)
	Expect(err).NotTo(HaveOccurred())
	connections.TLSClientConfig.InsecureSkipVerify = true
	connections.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, c.server.Listener.Addr().String())
	}
	plain := connections.Clone()
	plain.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		server := httptest.NewServer(c)
		DeferCleanup(server.Close)
		return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
	}
	return open(ctx, options, clients{"https": {Transport: connections}, "http": {Transport: plain}})
}

// clients by scheme.
type clients map[string]*http.Client

func (c clients) Do(request *http.Request) (*http.Response, error) {
	return c[request.URL.Scheme].Do(request)
}

// hosts are those that were asked, each once.
func (c *cloudServer) hosts() []string {
	var result []string
	for _, request := range c.requests {
		if !slices.Contains(result, request.Host) {
			result = append(result, request.Host)
		}
	}
	return result
}

// authorization is what the requests to a host have shown.
func (c *cloudServer) authorization(host string) string {
	for _, request := range c.requests {
		if request.Host == host {
			return request.Header.Get("Authorization")
		}
	}
	return "never asked"
}

func (c *cloudServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests = append(c.requests, r)
	switch {
	case strings.HasPrefix(r.Host, "management."):
		c.manage(w, r)
	case r.Host == "169.254.169.254":
		storetest.Answer(w, `{"access_token":"of-the-node","expires_on":"4102444800","resource":"x","token_type":"Bearer"}`)
	case strings.HasPrefix(r.Host, "login."):
		c.login(w, r)
	default:
		c.blob(w, r)
	}
}

func (*cloudServer) login(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	host := "https://" + r.Host
	switch {
	case strings.HasSuffix(r.URL.Path, "/token"):
		storetest.Answer(w, `{"access_token":"of-the-application","expires_in":3600,"token_type":"Bearer"}`)
	case strings.Contains(r.URL.Path, "/discovery/instance"):
		storetest.Answer(w, `{"tenant_discovery_endpoint":"%s/tenant/v2.0/.well-known/openid-configuration","metadata":[]}`, host)
	default:
		storetest.Answer(w, `{"token_endpoint":"%[1]s/tenant/oauth2/v2.0/token","authorization_endpoint":"%[1]s/a","issuer":"%[1]s/tenant/v2.0"}`, host)
	}
}

func (*cloudServer) manage(w http.ResponseWriter, r *http.Request) {
	const root = "/subscriptions/sub/resourceGroups/group/providers/Microsoft.Storage/storageAccounts/" + account
	w.Header().Set("Content-Type", "application/json")
	switch r.Method + " " + r.URL.Path {
	case "POST " + root + "/listKeys":
		storetest.Answer(w, `{"keys":[{"keyName":"r","value":"cmVhZA==","permissions":"READ"},{"keyName":"k","value":%q,"permissions":"FULL"}]}`, accountKey)
	case "GET " + root:
		storetest.Answer(w, `{"properties":{"primaryEndpoints":{"blob":"https://acct.z17.blob.storage.azure.net/"}}}`)
	default:
		w.WriteHeader(http.StatusNotFound)
		storetest.Answer(w, `{"error":{"code":"ResourceNotFound","message":"none"}}`)
	}
}

// refuse answers as Azure does when it does not do what is asked.
func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("X-Ms-Error-Code", code)
	w.WriteHeader(status)
}

func (c *cloudServer) blob(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/"+contents+"/")
	w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
	data, found := c.blobs[name]
	switch {
	case !strings.HasPrefix(r.URL.Path, "/"+contents):
		refuse(w, http.StatusNotFound, "ContainerNotFound")
	case r.URL.Query().Get("comp") == "list":
		c.list(w, r.URL.Query().Get("prefix"))
	case r.Method == http.MethodPut:
		content, err := io.ReadAll(r.Body)
		Expect(err).NotTo(HaveOccurred())
		c.blobs[name] = string(content)
		w.WriteHeader(http.StatusCreated)
	case !found:
		refuse(w, http.StatusNotFound, "BlobNotFound")
	case r.Method == http.MethodDelete:
		delete(c.blobs, name)
		w.WriteHeader(http.StatusAccepted)
	case r.Method == http.MethodHead:
		w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	default:
		var first, last int
		if _, err := fmt.Sscanf(r.Header.Get("X-Ms-Range"), "bytes=%d-%d", &first, &last); err != nil {
			storetest.Answer(w, "%s", data)
		} else if first >= len(data) {
			refuse(w, http.StatusRequestedRangeNotSatisfiable, "InvalidRange")
		} else {
			w.WriteHeader(http.StatusPartialContent)
			storetest.Answer(w, "%s", data[first:min(last+1, len(data))])
		}
	}
}

func (c *cloudServer) list(w http.ResponseWriter, prefix string) {
	w.Header().Set("Content-Type", "application/xml")
	storetest.Answer(w, `<?xml version="1.0" encoding="utf-8"?><EnumerationResults><Blobs>`)
	for _, name := range slices.Sorted(maps.Keys(c.blobs)) {
		if strings.HasPrefix(name, prefix) {
			storetest.Answer(w, `<Blob><Name>%s</Name><Properties><Content-Length>%d</Content-Length></Properties></Blob>`, name, len(c.blobs[name]))
		}
	}
	storetest.Answer(w, `</Blobs></EnumerationResults>`)
}
