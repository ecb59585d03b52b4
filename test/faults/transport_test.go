package faults

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"

	"k8s.io/client-go/rest"
)

// fault is what can happen to one API call.
type fault struct {
	name string
	// performed tells whether the call takes effect.
	performed bool
	// code is what the API server answers instead, 0 for no answer at all.
	code int
	// deadly faults end the process: no further call of it comes through.
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

// injected is part of every error that comes from a fault.
const injected = "injected"

// noAnswerError is the error of a call that took too long.
type noAnswerError struct{}

func (noAnswerError) Error() string   { return injected + ": no answer" }
func (noAnswerError) Timeout() bool   { return true }
func (noAnswerError) Temporary() bool { return true }

// call is one API call of a run. Names that differ from run to run are left out, so that the same call of another run
// equals it.
type call struct {
	// kind is its method and path.
	kind string
	// nth counts the calls of this kind, from 0.
	nth int
}

func (c call) String() string { return fmt.Sprintf("%s #%d", c.kind, c.nth+1) }

// isWatch tells whether a call is a watch; those are not counted as calls.
func (c call) isWatch() bool { return strings.HasPrefix(c.kind, watchMethod) }

const watchMethod = "WATCH"

var uid = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

// faultyTransport records the API calls of one process and does something to one of them.
type faultyTransport struct {
	// name is left out of the calls.
	name string
	// target is the call that meets the fault; the zero value is none.
	target call
	fault  fault
	// died is called when a deadly fault was met.
	died func()

	mutex     sync.Mutex
	next      http.RoundTripper
	calls     []call
	counts    map[string]int
	injected  bool
	dead      bool
	conflicts int
}

// reaching returns the configuration of a client whose calls go through the transport.
func (f *faultyTransport) reaching(config *rest.Config) *rest.Config {
	through := rest.CopyConfig(config)
	through.Wrap(func(next http.RoundTripper) http.RoundTripper {
		f.next = next
		return f
	})
	return through
}

func (f *faultyTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	hit, dead := f.record(request)
	switch {
	case dead:
		return nil, noAnswerError{}
	case !hit:
		return f.pass(request)
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
	if f.fault.deadly && f.died != nil {
		f.died()
	}
	if f.fault.code != 0 {
		return answer(request, f.fault.code), nil
	}
	return nil, noAnswerError{}
}

// record takes note of a call. It returns whether it meets the fault, and whether the process is dead already.
func (f *faultyTransport) record(request *http.Request) (hit, dead bool) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if f.dead {
		return false, true
	}
	method := request.Method
	if request.URL.Query().Get("watch") != "" {
		method = watchMethod
	}
	path := uid.ReplaceAllString(strings.ReplaceAll(request.URL.Path, f.name, "NAME"), "UID")
	kind := method + " " + path
	if f.counts == nil {
		f.counts = map[string]int{}
	}
	made := call{kind: kind, nth: f.counts[kind]}
	f.counts[kind]++
	f.calls = append(f.calls, made)
	if made != f.target {
		return false, false
	}
	f.injected = true
	f.dead = f.fault.deadly
	return true, false
}

func (f *faultyTransport) pass(request *http.Request) (*http.Response, error) {
	response, err := f.next.RoundTrip(request)
	if err == nil && response.StatusCode == http.StatusConflict {
		f.mutex.Lock()
		defer f.mutex.Unlock()
		f.conflicts++
	}
	return response, err
}

// revive lets calls through again: those of the next process.
func (f *faultyTransport) revive() (wasDead bool) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	wasDead, f.dead = f.dead, false
	return wasDead
}

// met tells whether the fault came about.
func (f *faultyTransport) met() bool {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return f.injected
}

// made returns the calls so far, without watches.
func (f *faultyTransport) made() []call {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return slices.DeleteFunc(slices.Clone(f.calls), call.isWatch)
}

func answer(request *http.Request, code int) *http.Response {
	reason := map[int]string{
		http.StatusConflict: "Conflict", http.StatusTooManyRequests: "TooManyRequests", http.StatusInternalServerError: "InternalError",
		http.StatusNotFound: "NotFound",
	}[code]
	body := fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","status":"Failure","message":%q,"reason":%q,"code":%d}`, injected, reason, code)
	return &http.Response{
		StatusCode: code, Status: http.StatusText(code), Request: request, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)),
	}
}
