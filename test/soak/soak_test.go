package soak

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/test/faultproxy"
)

const (
	// workers is how many DataUploads there are at the same time, more than all nodes have slots.
	workers = 12
	// settleLimit is how long one may take: three attempts with their back-off, and the leader killed in between.
	settleLimit = 5 * time.Minute

	// The leader is killed the first time after firstKill, then at random intervals.
	firstKill              = 10 * time.Second
	minKillGap, maxKillGap = 45 * time.Second, 90 * time.Second

	look          = 50 * time.Millisecond
	progressEvery = 30 * time.Second
)

// apiFaults is what one in twenty requests of agents and movers meets, and each watch every other minute.
var apiFaults = faultproxy.Rates{
	faultproxy.TooManyRequests: 0.01, faultproxy.InternalError: 0.01, faultproxy.Conflict: 0.01,
	faultproxy.CutBefore: 0.01, faultproxy.CutAfter: 0.01, faultproxy.WatchCut: 0.01,
}

var _ = Describe("many DataUploads, and everything that can go wrong", Label("soak"), func() {
	It("end right, leak nothing and lose nothing", func(ctx context.Context) {
		settings, err := settingsFromEnvironment()
		Expect(err).NotTo(HaveOccurred())
		r := &run{settings: settings, begun: time.Now(), agents: startAgents(ctx)}
		Eventually(r.agents.leader).WithArguments(ctx).ShouldNot(BeNil())
		proxy.SetRates(apiFaults)
		DeferCleanup(func() { proxy.SetRates(nil) })
		Expect(r.play(ctx)).To(Succeed())
		proxy.SetRates(nil)
		found := r.judge(ctx)
		fmt.Println(found.table())
		Expect(found.problems).To(BeEmpty(), "seed %d", seed)
	})
})

// run is one soak.
type run struct {
	settings
	begun  time.Time
	agents *crew
	next   atomic.Int64

	mu      sync.Mutex
	uploads []*upload
	done    map[string]*suffered
	faults  map[string]int
}

// play begins uploads and lets things go wrong, until all of them have settled.
func (r *run) play(ctx context.Context) error {
	r.done, r.faults = map[string]*suffered{}, map[string]int{}
	disturbing, stop := context.WithCancel(ctx)
	var disturbers, working sync.WaitGroup
	disturbers.Go(func() { r.killLeaders(disturbing) })
	disturbers.Go(func() { r.report(disturbing) })
	failures := make([]error, workers)
	for i := range workers {
		working.Go(func() { failures[i] = r.work(ctx) })
	}
	working.Wait()
	stop()
	disturbers.Wait()
	return errors.Join(failures...)
}

// work makes one upload after the other.
func (r *run) work(ctx context.Context) error {
	for time.Since(r.begun) < r.time {
		number := int(r.next.Add(1))
		if number > r.settings.uploads {
			return nil
		}
		u, err := startUpload(ctx, sources[number%len(sources)], "soak")
		if err != nil {
			return err
		}
		done := &suffered{}
		r.mu.Lock()
		r.uploads = append(r.uploads, u)
		r.done[u.name] = done
		r.mu.Unlock()
		if err := r.accompany(ctx, u, drawFate(number), done); err != nil {
			return fmt.Errorf("disturbing DataUpload %s: %w", u.name, err)
		}
	}
	return nil
}

// accompany lets an upload meet its fate, until it has settled or taken too long.
func (r *run) accompany(ctx context.Context, u *upload, fate *fate, done *suffered) error {
	begun := time.Now()
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	for time.Since(begun) < settleLimit {
		now := seen.get(u.name)
		if now.du != nil && now.settled() {
			return nil
		}
		if err := r.disturb(ctx, u, fate, time.Since(begun), now, done); err != nil {
			return err
		}
		if err := r.strike(ctx, now.pod(), fate, done); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
	return nil
}

// disturb cancels or deletes an upload whose time has come. It does not delete one that no agent has seen: nobody could know
// of its snapshot then, which is left to Velero.
func (r *run) disturb(ctx context.Context, u *upload, fate *fate, age time.Duration, now record, done *suffered) error {
	if fate.end == "" || age < fate.endAfter || fate.end == deleted && now.phase() == "" {
		return nil
	}
	r.count(fate.end)
	end := fate.end
	fate.end = ""
	if end == canceled {
		done.canceled = true
		return u.cancel(ctx)
	}
	done.deleted = true
	return u.delete(ctx)
}

// strike lets an upload lose the pod that it has now, if that is its fate and the time has come.
func (r *run) strike(ctx context.Context, pod *corev1.Pod, fate *fate, done *suffered) error {
	if pod == nil {
		return nil
	}
	how := fate.of(pod.UID)
	if how == "" {
		return nil
	}
	lost, err := lose(ctx, pod, how)
	if lost {
		r.count(how)
		fate.fulfilled()
		done.pods = append(done.pods, pod.UID)
	}
	return err
}

// killLeaders kills the leader every now and then.
func (r *run) killLeaders(ctx context.Context) {
	random := random("leader")
	for gap := firstKill; ; gap = minKillGap + time.Duration(random.Int64N(int64(maxKillGap-minKillGap))) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(gap):
		}
		if leader := r.agents.leader(ctx); leader != nil {
			leader.Kill()
			r.count("leader killed")
		}
	}
}

func (r *run) count(fault string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults[fault]++
}

// report tells how far the soak is.
func (r *run) report(ctx context.Context) {
	ticker := time.NewTicker(progressEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			r.mu.Lock()
			settled, begun := 0, len(r.uploads)
			for _, u := range r.uploads {
				if now := seen.get(u.name); now.du != nil && now.settled() {
					settled++
				}
			}
			r.mu.Unlock()
			GinkgoWriter.Printf("%4.0f s: %d DataUploads begun, %d of them settled\n", time.Since(r.begun).Seconds(), begun, settled)
		}
	}
}

// judge looks at everything when it is over.
func (r *run) judge(ctx context.Context) *findings {
	f := &findings{uploads: len(r.uploads), faults: r.faults, phases: map[v2alpha1.Phase]int{}}
	for kind, n := range proxy.Counts() {
		f.faults["API: "+string(kind)] += n
	}
	f.restarts = r.agents.restarted()
	from := &restorer{}
	for _, u := range r.uploads {
		f.add(ctx, u, *r.done[u.name], from)
	}
	f.addLeaks(ctx, r.uploads, from)
	if err := from.close(ctx); err != nil {
		f.problems = append(f.problems, err.Error())
	}
	for _, crowd := range seen.crowds() {
		f.problems = append(f.problems, "more DataUploads than slots on node "+crowd)
	}
	f.seconds = time.Since(r.begun).Seconds()
	return f
}

// fate is what will be done to an upload, decided when it begins.
type fate struct {
	// end is canceled, deleted or empty, and endAfter when.
	end      string
	endAfter time.Duration
	// strikes are what its pods will meet, one each; an empty one spares the pod.
	strikes []strike
	pod     types.UID
	due     time.Time
}

// strike is how a pod is lost, and how long after it has come.
type strike struct {
	how   string
	after time.Duration
}

// Ends of an upload by request.
const (
	canceled = "DataUpload canceled"
	deleted  = "DataUpload deleted"
)

// drawFate cancels or deletes one upload in eight and takes one pod in eight away; one upload in fifty loses every pod.
func drawFate(number int) *fate {
	const maxEndAfter, maxStrikeAfter = 15 * time.Second, 6 * time.Second
	random := random("fate", number)
	drawn := &fate{endAfter: time.Duration(random.Int64N(int64(maxEndAfter)))}
	switch lot := random.IntN(16); lot {
	case 0:
		drawn.end = canceled
	case 1:
		drawn.end = deleted
	}
	doomed := random.IntN(50) == 0
	for range maxAttempts {
		var s strike
		if random.IntN(8) == 0 || doomed {
			s.how = []string{killed, removed, evicted}[random.IntN(3)]
			s.after = time.Duration(random.Int64N(int64(maxStrikeAfter)))
		}
		drawn.strikes = append(drawn.strikes, s)
	}
	return drawn
}

// of is how a pod is to be lost now, or empty.
func (f *fate) of(pod types.UID) string {
	if len(f.strikes) == 0 {
		return ""
	}
	if pod != f.pod {
		if f.pod != "" {
			f.strikes = f.strikes[1:]
		}
		if f.pod = pod; len(f.strikes) > 0 {
			f.due = time.Now().Add(f.strikes[0].after)
		}
		return ""
	}
	if time.Now().Before(f.due) {
		return ""
	}
	return f.strikes[0].how
}

// fulfilled spares the pod from now on.
func (f *fate) fulfilled() { f.strikes[0].how = "" }
