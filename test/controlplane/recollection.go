package controlplane

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	"k8s.io/client-go/rest"
)

// recollection keeps what was read from the API server until somebody writes to that kind of object.
type recollection struct {
	next http.RoundTripper

	mutex sync.Mutex
	kinds map[string]*remembered
}

// remembered is what is known of one kind of object.
type remembered struct {
	answers map[string]*rememberedAnswer
	// writing counts the writes that are on their way, written those that were.
	writing, written int
}

type rememberedAnswer struct {
	response http.Response
	body     []byte
}

// passing lets all calls through, and takes note of what they write.
type passing struct{ *recollection }

func (p passing) RoundTrip(request *http.Request) (*http.Response, error) { return p.pass(request) }

// Remember returns a Config for a test that looks at everything after every step, of which a step changes one or two: what
// was read does not cost another request until somebody writes to that kind of object. From now on Config takes note of
// writes, and whoever writes in another way, such as another process, is not minded.
func (c *ControlPlane) Remember() (*rest.Config, error) {
	next, err := rest.TransportFor(c.Config)
	if err != nil {
		return nil, fmt.Errorf("make a transport to the API server: %w", err)
	}
	known := &recollection{next: next, kinds: map[string]*remembered{}}
	host := c.Config.Host
	c.Config = &rest.Config{Host: host, Transport: passing{known}, QPS: -1}
	return &rest.Config{Host: host, Transport: known, QPS: -1}, nil
}

// RoundTrip answers a read from memory if it can.
func (m *recollection) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.Method != http.MethodGet || request.URL.Query().Get("watch") != "" {
		return m.pass(request)
	}
	kind, key := kindOf(request), request.URL.String()+" "+request.Header.Get("Accept")
	known, state := m.recall(kind, key)
	if known == nil {
		var err error
		if known, err = m.ask(request); err != nil {
			return nil, err
		}
		if code := known.response.StatusCode; code == http.StatusOK || code == http.StatusNotFound {
			m.remember(kind, key, state, known)
		}
	}
	response := known.response
	response.Header = known.response.Header.Clone()
	response.Request, response.Body = request, io.NopCloser(bytes.NewReader(known.body))
	return &response, nil
}

// pass lets a call through, and takes note of what it writes. A write that is on its way is not called back.
func (m *recollection) pass(request *http.Request) (*http.Response, error) {
	if request.Method == http.MethodGet {
		return m.next.RoundTrip(request)
	}
	m.mutex.Lock()
	kind := m.kind(kindOf(request))
	kind.writing++
	m.mutex.Unlock()
	defer func() {
		m.mutex.Lock()
		defer m.mutex.Unlock()
		kind.writing--
		kind.written++
		clear(kind.answers)
	}()
	return m.next.RoundTrip(request.WithContext(context.WithoutCancel(request.Context())))
}

// recall returns the answer to a read, nil if it is not known, and how much had been written then.
func (m *recollection) recall(name, key string) (*rememberedAnswer, int) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	kind := m.kind(name)
	if kind.writing > 0 {
		return nil, kind.written
	}
	return kind.answers[key], kind.written
}

// remember keeps an answer, unless something was written since it was asked for.
func (m *recollection) remember(name, key string, written int, answer *rememberedAnswer) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if kind := m.kind(name); kind.writing == 0 && kind.written == written {
		kind.answers[key] = answer
	}
}

func (m *recollection) ask(request *http.Request) (*rememberedAnswer, error) {
	response, err := m.next.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return &rememberedAnswer{response: *response, body: body}, err
}

func (m *recollection) kind(name string) *remembered {
	if m.kinds[name] == nil {
		m.kinds[name] = &remembered{answers: map[string]*rememberedAnswer{}}
	}
	return m.kinds[name]
}

// kindOf is the kind of object that a request is about, such as "pods".
func kindOf(request *http.Request) string {
	parts := strings.Split(strings.TrimPrefix(request.URL.Path, "/"), "/")
	if at := slices.Index(parts, "namespaces"); at >= 0 && len(parts) > at+2 {
		return parts[at+2]
	}
	if parts[0] == "api" {
		return parts[min(2, len(parts)-1)]
	}
	return parts[min(3, len(parts)-1)]
}
