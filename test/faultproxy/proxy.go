// Package faultproxy is an HTTP proxy in front of an API server that goes wrong on purpose: it answers errors in the API
// server's place, cuts connections before or after a request took effect, and cuts watches.
package faultproxy

import (
	"context"
	"encoding/pem"
	"fmt"
	"log/slog" //nolint:depguard // net/http wants the standard library's logger
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"

	"k8s.io/client-go/rest"
)

// Kind is a kind of fault.
type Kind string

// The kinds of faults.
const (
	// TooManyRequests, InternalError and Conflict are answers; the request has no effect. Only writes get a Conflict.
	TooManyRequests Kind = "429"
	InternalError   Kind = "500"
	Conflict        Kind = "409"
	// CutBefore cuts the request's stream without an answer, and the request has no effect.
	CutBefore Kind = "cut before"
	// CutAfter does so after the request took effect.
	CutAfter Kind = "cut after"
	// WatchCut ends a watch in the middle.
	WatchCut Kind = "watch cut"
)

// Rates say how likely a request meets a fault of a kind, from 0 to 1. That of WatchCut is for each watch and second.
type Rates map[Kind]float64

// Proxy forwards requests to an API server until Close.
type Proxy struct {
	server  *httptest.Server
	forward *httputil.ReverseProxy
	stop    context.CancelFunc

	mu      sync.Mutex
	random  *rand.Rand
	rates   Rates
	counts  map[Kind]int
	watches map[*http.Request]context.CancelFunc
}

// Start listens on loopback. There are no faults until SetRates. Faults are drawn from random.
func Start(config *rest.Config, random *rand.Rand) (*Proxy, error) {
	// Clients bring their own credentials.
	transport, err := rest.TransportFor(rest.AnonymousClientConfig(config))
	if err != nil {
		return nil, fmt.Errorf("make transport to the API server: %w", err)
	}
	target, err := url.Parse(config.Host)
	if err != nil {
		return nil, fmt.Errorf("parse address of the API server: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	p := &Proxy{stop: stop, random: random, counts: map[Kind]int{}, watches: map[*http.Request]context.CancelFunc{}}
	quiet := slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // It would tell of each connection that was cut.
	p.forward = &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     transport,
		FlushInterval: -1,
		ErrorLog:      quiet,
		// A proxy that cannot reach the API server, or a client that is gone.
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	// Clients do not send a token without TLS.
	p.server = httptest.NewUnstartedServer(p)
	p.server.Config.ErrorLog = quiet
	p.server.EnableHTTP2 = true
	p.server.StartTLS()
	go p.cutWatches(ctx)
	return p, nil
}

// Config says how to reach the API server through the proxy. It has no credentials.
func (p *Proxy) Config() *rest.Config {
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.server.Certificate().Raw})
	return &rest.Config{Host: p.server.URL, TLSClientConfig: rest.TLSClientConfig{CAData: ca}}
}

// Close ends all connections.
func (p *Proxy) Close() {
	p.stop()
	p.server.CloseClientConnections()
	p.server.Close()
}

// SetRates sets the rates from now on.
func (p *Proxy) SetRates(rates Rates) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rates = rates
}

// Counts tells how many faults of each kind there were.
func (p *Proxy) Counts() map[Kind]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.counts)
}

// ServeHTTP forwards a request, or lets it go wrong.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	watch := r.URL.Query().Get("watch") == "true"
	if watch {
		ctx, cut := context.WithCancel(r.Context())
		defer cut()
		r = r.WithContext(ctx)
		p.follow(r, cut)
		defer p.unfollow(r)
	}
	switch kind := p.draw(r.Method); {
	case kind == "":
		p.forward.ServeHTTP(w, r)
	case kind == CutAfter && !watch: // the answer to a watch has no end
		p.forward.ServeHTTP(&discarded{header: http.Header{}}, r)
		panic(http.ErrAbortHandler) // cuts the stream
	case kind == CutBefore, kind == CutAfter:
		panic(http.ErrAbortHandler)
	default:
		answer(w, kind)
	}
}

// drawn are the kinds that requests meet, in the order in which they are drawn.
var drawn = []Kind{TooManyRequests, InternalError, Conflict, CutBefore, CutAfter}

// draw decides on the fault of a request, and counts it.
func (p *Proxy) draw(method string) Kind {
	p.mu.Lock()
	defer p.mu.Unlock()
	lot := p.random.Float64()
	for _, kind := range drawn {
		if lot -= p.rates[kind]; lot >= 0 {
			continue
		}
		if kind == Conflict && (method == http.MethodGet || method == http.MethodPost) {
			return ""
		}
		p.counts[kind]++
		return kind
	}
	return ""
}

// discarded takes an answer that nobody gets.
type discarded struct{ header http.Header }

func (d *discarded) Header() http.Header         { return d.header }
func (d *discarded) Write(b []byte) (int, error) { return len(b), nil }
func (d *discarded) WriteHeader(int)             {}
