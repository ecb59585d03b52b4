package faultproxy

import (
	"context"
	"net/http"
	"time"
)

// follow remembers a watch, so that it can be cut.
func (p *Proxy) follow(r *http.Request, cut context.CancelFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watches[r] = cut
}

func (p *Proxy) unfollow(r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.watches, r)
}

// cutWatches looks at all watches once a second.
func (p *Proxy) cutWatches(ctx context.Context) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			p.cutSome()
		}
	}
}

func (p *Proxy) cutSome() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for r, cut := range p.watches {
		if p.random.Float64() < p.rates[WatchCut] {
			p.counts[WatchCut]++
			delete(p.watches, r)
			cut()
		}
	}
}
