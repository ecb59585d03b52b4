package faults

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/sirupsen/logrus"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/node-agent/node-agent/pkg/config"
	"github.com/node-agent/node-agent/pkg/controller/datadownload"
	"github.com/node-agent/node-agent/pkg/controller/dataupload"
	"github.com/node-agent/node-agent/pkg/controller/engine"
	"github.com/node-agent/node-agent/pkg/controller/queue"
	"github.com/node-agent/node-agent/test/cluster"
)

// bookmark is the type of an event that only tells how far a watch has come.
const bookmark = "BOOKMARK"

// badWatches lets watches lose, delay and mix up events, and ends each after a few seconds as if it had fallen too far
// behind, so that its informer lists anew.
type badWatches struct {
	next http.RoundTripper

	mutex                         sync.Mutex
	random                        *rand.Rand
	dropped, late, swapped, ended int
}

func (b *badWatches) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := b.next.RoundTrip(request)
	query := request.URL.Query()
	if err != nil || query.Get("watch") == "" || response.StatusCode != http.StatusOK {
		return response, err
	}
	upstream := response.Body
	reader, writer := io.Pipe()
	response.Body = reader
	go b.relay(upstream, writer, query.Get("sendInitialEvents") == "true")
	return response, nil
}

// relay passes the events of one watch on, one a line, as badly as it can. Until the first bookmark those of a watch that
// begins with a list are the list.
func (b *badWatches) relay(upstream io.ReadCloser, out *io.PipeWriter, listing bool) {
	defer upstream.Close()
	life := time.AfterFunc(time.Duration(3000+b.intN(5000))*time.Millisecond, func() { _ = upstream.Close() })
	defer life.Stop()
	lines := bufio.NewReader(upstream)
	var held []byte
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			break
		}
		if listing {
			listing = eventOf(line).Type != bookmark
		} else if line, held = b.treat(line, held); line == nil {
			continue
		}
		if _, err := out.Write(line); err != nil {
			return // the informer has ended the watch itself
		}
	}
	b.count(&b.ended)
	if b.intN(2) == 0 {
		_, _ = io.WriteString(out, `{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","status":"Failure",`+
			`"message":"injected","reason":"Expired","code":410}}`+"\n")
	}
	_ = out.Close()
}

// treat returns what becomes of an event, nothing perhaps, and the one that is held back until after the next.
func (b *badWatches) treat(line, held []byte) (treated, heldNow []byte) {
	event := eventOf(line)
	if event.Type == bookmark {
		return slices.Concat(held, line), nil
	}
	switch fate := b.intN(10); {
	case fate < 1:
		b.count(&b.dropped)
		return nil, held
	case fate < 2 && held == nil:
		return nil, line
	case fate < 4:
		b.count(&b.late)
		<-time.After(time.Duration(b.intN(500)) * time.Millisecond)
	}
	if held == nil || eventOf(held).Object == event.Object {
		return slices.Concat(held, line), nil // the events about one object come in order
	}
	b.count(&b.swapped)
	return slices.Concat(line, held), nil
}

func (b *badWatches) intN(n int) int {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.random.IntN(n)
}

func (b *badWatches) count(counter *int) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	*counter++
}

// watchEvent is as much of an event as matters here.
type watchEvent struct {
	Type   string
	Object struct {
		Metadata struct{ Namespace, Name string }
	}
}

func eventOf(line []byte) watchEvent {
	var event watchEvent
	_ = json.Unmarshal(line, &event) // an event that cannot be read is about nothing
	return event
}

// manySlots lets several DataUploads and DataDownloads move data at once.
func manySlots() *config.Config {
	several := config.Default()
	several.LoadConcurrency.GlobalConfig = 5
	return several
}

// startManager runs the reconcilers as the agent does, with watches that cannot be relied on.
func startManager(ctx context.Context, watches *badWatches, log logrus.FieldLogger) {
	through := rest.CopyConfig(plane.Config)
	through.ContentType = runtime.ContentTypeJSON // one event a line
	through.Wrap(func(next http.RoundTripper) http.RoundTripper {
		watches.next = next
		return watches
	})
	mgr, err := ctrl.NewManager(through, ctrl.Options{
		Scheme: live.Scheme(), Cache: engine.CacheOptions(cluster.Velero), Metrics: metricsserver.Options{BindAddress: "0"},
	})
	Expect(err).NotTo(HaveOccurred())
	base := engine.Engine{
		Options: engine.Options{
			Namespace: cluster.Velero, NodeName: "agent-node", Config: manySlots,
			PrepareTimeout: prepareTimeout, MaxAttempts: maxAttempts,
		},
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Events: mgr.GetEventRecorder("node-agent"), Clock: clock.RealClock{},
		Log: log, Queues: &queue.Queues{},
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	Expect(engine.AddIndexes(running, mgr.GetFieldIndexer())).To(Succeed())
	Expect(dataupload.New(base).SetupWithManager(running, mgr)).To(Succeed())
	Expect(datadownload.New(base).SetupWithManager(mgr)).To(Succeed())
	ended := make(chan struct{})
	go func() {
		defer GinkgoRecover()
		defer close(ended)
		Expect(mgr.Start(running)).To(Succeed())
	}()
	DeferCleanup(func() { stop(); <-ended })
}

var _ = Describe("watches that lose, delay and mix up events", Label("faults"), func() {
	It("stop no DataUpload and no DataDownload", func(ctx context.Context) {
		const patience = 4 * time.Minute
		count := 8
		if everything {
			count = 20
		}
		seed := uint64(GinkgoRandomSeed())
		row := newRow("bad watches, real manager", fmt.Sprintf("%d at once, half of them restores, seed %d", count, seed))
		watches := &badWatches{random: rand.New(rand.NewPCG(seed, 0))}
		var all []*run
		for i := range count {
			r := newRun(scenario{restores: i%2 == 1, want: completed}, conditions{})
			r.set(ctx)
			DeferCleanup(r.clear)
			all = append(all, r)
		}
		begin := time.Now()
		startManager(ctx, watches, all[0].log)
		moving := slices.Clone(all)
		for len(moving) > 0 && time.Since(begin) < patience {
			for _, r := range moving {
				r.stepOthers(ctx)
				r.watchData(ctx)
			}
			moving = slices.DeleteFunc(moving, func(r *run) bool { return r.isSettled(ctx) })
			<-time.After(50 * time.Millisecond)
		}
		for _, r := range all {
			if !r.isSettled(ctx) {
				r.verdict.wrong = append(r.verdict.wrong, "it comes to no end: "+r.describe(ctx))
			}
			v := r.judge(ctx)
			v.took = time.Since(begin) / time.Duration(count)
			row.add(v, r.name)
		}
		row.check()
		GinkgoWriter.Printf("events dropped %d, late %d, swapped %d; watches ended %d\n",
			watches.dropped, watches.late, watches.swapped, watches.ended)
		watches.mutex.Lock()
		defer watches.mutex.Unlock()
		for _, happened := range []int{watches.dropped, watches.late, watches.swapped, watches.ended} {
			Expect(happened).To(BeNumerically(">", 0), "the watches were bad")
		}
	}, NodeTimeout(6*time.Minute))
})
