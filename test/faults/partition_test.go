package faults

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/mover"
	"github.com/node-agent/node-agent/pkg/repository"
	reporestore "github.com/node-agent/node-agent/pkg/repository/restore"
	"github.com/node-agent/node-agent/test/cluster"
)

// detachAfter is when Kubernetes detaches a volume from a node that does not answer.
const detachAfter = 6 * time.Minute

// cutOffMover is a mover whose node reaches the API server no longer, but the volume still. It writes what it has, again and again,
// as long as it believes that it may.
type cutOffMover struct {
	clock *clocktesting.FakeClock
	pod   types.UID
	// dir is where the volume is.
	dir      string
	mayWrite func() error
	// attached says that the volume is at one node at a time. detached is when it leaves this one; zero if nobody else wants it yet.
	attached bool
	detached time.Time
	// stop ends the process, ended is closed when it has ended.
	stop  context.CancelFunc
	ended chan struct{}
}

// heldRestorer never comes to the end of a restore.
type heldRestorer struct {
	mover.Restorer

	begun chan reporestore.Request
}

func (r *heldRestorer) Restore(ctx context.Context, request reporestore.Request) (reporestore.Result, error) {
	r.begun <- request
	<-ctx.Done()
	return reporestore.Result{}, ctx.Err()
}

// cutAfterBegin lets calls through until it is closed.
type cutAfterBegin chan struct{}

func (c cutAfterBegin) reaching(config *rest.Config) *rest.Config {
	through := rest.CopyConfig(config)
	through.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(request *http.Request) (*http.Response, error) {
			select {
			case <-c:
				return nil, noAnswerError{}
			default:
				return next.RoundTrip(request)
			}
		})
	})
	return through
}

type roundTripper func(*http.Request) (*http.Response, error)

func (r roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return r(request) }

// cutOff starts the mover of the pod, and cuts it off once it writes.
func (r *run) cutOff(ctx context.Context) {
	d, pod := r.movement.(*restore), r.Pod(ctx)
	pvc := &corev1.PersistentVolumeClaim{}
	Expect(live.Get(ctx, d.Key(), pvc)).To(Succeed())
	work, err := os.MkdirTemp(store.dir, "mover-")
	Expect(err).NotTo(HaveOccurred())
	cut := make(cutAfterBegin)
	c, err := mover.NewClient(cut.reaching(plane.Config))
	Expect(err).NotTo(HaveOccurred())
	m := &cutOffMover{
		clock: clocktesting.NewFakeClock(r.clock.Now()), pod: pod.UID, dir: directory(pvc.Spec.VolumeName), attached: r.attached,
		ended: make(chan struct{}),
	}
	Expect(os.MkdirAll(m.dir, 0o700)).To(Succeed())
	begun := make(chan reporestore.Request, 1)
	ctx, m.stop = context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		defer close(m.ended)
		defer os.RemoveAll(work)
		_ = mover.Restore(ctx, mover.RestoreOptions{
			Options: mover.Options{
				Namespace: cluster.Velero, Name: r.name, Attempt: attemptOf(pod), VolumePath: m.dir, VolumeMode: d.Mode,
				ResourceTimeout: time.Minute, TerminationMessagePath: filepath.Join(work, "termination-log"), WorkDir: work,
				Client: c, Clock: m.clock, Log: r.log,
			},
			Open: func(ctx context.Context, a repository.Access) (mover.Restorer, error) {
				opened, err := mover.OpenRestorer(ctx, a)
				return &heldRestorer{Restorer: opened, begun: begun}, err
			},
		})
	}()
	var request reporestore.Request
	Eventually(begun).WithTimeout(10 * time.Second).Should(Receive(&request))
	close(cut)
	m.mayWrite = request.MayWrite
	if r.ignoresLease {
		m.mayWrite = func() error { return nil }
	}
	r.lost = m
}

// write writes something old, if the volume is still there.
func (m *cutOffMover) write() {
	if m == nil || m.mayWrite() != nil || !m.detached.IsZero() && !m.clock.Now().Before(m.detached) {
		return
	}
	if _, err := os.Stat(m.dir); err == nil {
		Expect(os.WriteFile(filepath.Join(m.dir, files[0]), make([]byte, fileSize), 0o600)).To(Succeed())
	}
}

// gives tells whether another pod can have the volume.
func (m *cutOffMover) gives(pod *corev1.Pod) bool {
	if m == nil || !m.attached || pod.UID == m.pod {
		return true
	}
	if m.detached.IsZero() {
		m.detached = m.clock.Now().Add(detachAfter)
	}
	return !m.clock.Now().Before(m.detached)
}

func (m *cutOffMover) end() {
	if m != nil {
		m.stop()
		<-m.ended
	}
}

// silenceNode lets the node of the pod be silent. The pod tolerates that, as far as the cluster is concerned.
func silenceNode(ctx context.Context, r *run) {
	node := &corev1.Node{}
	Expect(live.Get(ctx, client.ObjectKey{Name: r.node}, node)).To(Succeed())
	node.Status.Conditions = []corev1.NodeCondition{{
		Type: corev1.NodeReady, Status: corev1.ConditionUnknown, Reason: "NodeStatusUnknown", LastTransitionTime: metav1.NewTime(r.clock.Now()),
	}}
	Expect(live.Status().Update(ctx, node)).To(Succeed())
	r.doomed, r.node = r.node, cluster.Node
}

// partitioned lets the mover of the pod be cut off, and then something happen to its node.
func partitioned(what func(context.Context, *run)) func(context.Context, *run) {
	return func(ctx context.Context, r *run) {
		r.cutOff(ctx)
		what(ctx, r)
	}
}

// onAttached is for a volume that is at one node at a time.
func onAttached(r *run) {
	doomedNode(r)
	r.attached = true
}

// partitions are the scenarios of movers that are cut off and go on writing.
func partitions() []scenario {
	return []scenario{
		{
			name: "node gone, its mover cut off and writing", want: completed, losses: 1, change: doomedNode,
			acts: []act{at(inProgress, partitioned(loseNode))},
		},
		{
			name: "node gone, its mover cut off and writing, volume that is attached", want: completed, losses: 1, change: onAttached,
			acts: []act{at(inProgress, partitioned(loseNode))},
		},
		{
			name: "node silent, its mover cut off and writing", want: completed, losses: 1, change: doomedNode,
			acts: []act{at(inProgress, partitioned(silenceNode))},
		},
		{
			name: "node silent, its mover cut off and writing, volume that is attached", want: completed, losses: 1, change: onAttached,
			acts: []act{at(inProgress, partitioned(silenceNode))},
		},
	}
}
