// Package clustertime tells the time as the API server does. Deadlines count from timestamps that the API server or another
// leader has written, and the clock of this node may differ from theirs.
package clustertime

import (
	"net/http"
	"sync"
	"time"

	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/utils/clock"
)

// Clock is a clock of this node, put right by what the API server's answers tell. As long as both may be right, it is the node's.
type Clock struct {
	clock.WithTicker

	mutex  sync.Mutex
	offset time.Duration
}

// New makes a Clock of a node's, which is right until Wrap learns something else.
func New(local clock.WithTicker) *Clock { return &Clock{WithTicker: local} }

// Now is the API server's time.
func (c *Clock) Now() time.Time {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.WithTicker.Now().Add(c.offset)
}

// Since is how long ago the API server's clock showed a time.
func (c *Clock) Since(then time.Time) time.Duration { return c.Now().Sub(then) }

// Wrap lets the clock learn from the answers to a client of the API server.
func (c *Clock) Wrap(next http.RoundTripper) http.RoundTripper {
	return &observer{next: next, clock: c}
}

type observer struct {
	next  http.RoundTripper
	clock *Clock
}

var _ utilnet.RoundTripperWrapper = (*observer)(nil)

// WrappedRoundTripper is for who cancels requests or closes connections.
func (o *observer) WrappedRoundTripper() http.RoundTripper { return o.next }

func (o *observer) RoundTrip(request *http.Request) (*http.Response, error) {
	asked := o.clock.WithTicker.Now()
	response, err := o.next.RoundTrip(request)
	if err != nil {
		return response, err
	}
	if date, dateErr := http.ParseTime(response.Header.Get("Date")); dateErr == nil {
		o.clock.learn(asked, date, o.clock.WithTicker.Now())
	}
	return response, nil
}

// learn takes from an answer by how much the clocks differ at least and at most: its date has whole seconds, and it was written
// at some time between question and answer.
func (c *Clock) learn(asked, date, answered time.Time) {
	least, most := date.Sub(answered), date.Add(time.Second).Sub(asked)
	c.mutex.Lock()
	defer c.mutex.Unlock()
	switch {
	case least <= 0 && most >= 0:
		c.offset = 0
	case c.offset < least:
		c.offset = least
	case c.offset > most:
		c.offset = most
	}
}
