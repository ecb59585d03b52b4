package mover_test

import (
	"context"
	"errors"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/mover/result"
)

var errForbidden = apierrors.NewForbidden(
	schema.GroupResource{Group: "velero.io", Resource: "datauploads"}, duName, errors.New("no rule allows it"))

// deafWatch makes watches that show nothing.
func deafWatch() interceptor.Funcs {
	return interceptor.Funcs{
		Watch: func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) (watch.Interface, error) {
			return watch.NewFake(), nil
		},
	}
}

// watches remembers the watches that a mover establishes.
type watches struct {
	mutex sync.Mutex
	made  []*closableWatch
}

func (w *watches) funcs() interceptor.Funcs {
	return interceptor.Funcs{
		Watch: func(
			ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption,
		) (watch.Interface, error) {
			watcher, err := c.Watch(ctx, list, opts...)
			if err != nil {
				return nil, err
			}
			closable := newClosableWatch(watcher)
			w.mutex.Lock()
			defer w.mutex.Unlock()
			w.made = append(w.made, closable)
			return closable, nil
		},
	}
}

func (w *watches) count() int {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return len(w.made)
}

// closeLast ends the newest watch, as an API server does.
func (w *watches) closeLast() {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	close(w.made[len(w.made)-1].ended)
}

// closableWatch is a watch that can be closed from the other side.
type closableWatch struct {
	watch.Interface
	ended  chan struct{}
	events chan watch.Event
}

func newClosableWatch(inner watch.Interface) *closableWatch {
	w := &closableWatch{Interface: inner, ended: make(chan struct{}), events: make(chan watch.Event, 100)}
	go func() {
		defer inner.Stop()
		defer close(w.events)
		for {
			select {
			case <-w.ended:
				return
			case event, open := <-inner.ResultChan():
				if !open {
					return
				}
				w.events <- event
			}
		}
	}()
	return w
}

func (w *closableWatch) ResultChan() <-chan watch.Event { return w.events }

var _ = Describe("The watch of a DataUpload", func() {
	// again lets the pause before the next attempt pass.
	again := func(b *bench) {
		GinkgoHelper()
		Eventually(b.clock.HasWaiters).WithTimeout(patience).Should(BeTrue())
		b.clock.Step(time.Minute)
	}

	It("is established again when the API server closes it, and misses nothing", func(ctx context.Context) {
		b := newBench(ctx, v2alpha1.PhasePrepared)
		made := &watches{}
		b.intercept(made.funcs())
		b.start()
		for count := range 3 {
			Eventually(made.count).WithTimeout(patience).Should(Equal(count + 1))
			made.closeLast()
			again(b)
		}
		Eventually(made.count).WithTimeout(patience).Should(Equal(4))
		made.closeLast()
		Eventually(b.clock.HasWaiters).WithTimeout(patience).Should(BeTrue())
		b.setPhase(ctx, v2alpha1.PhaseInProgress)
		Consistently(b.uploader.begun).WithTimeout(quiet).ShouldNot(Receive())
		b.clock.Step(time.Minute)
		b.uploading()

		By("canceling while there is no watch")
		Eventually(made.count).WithTimeout(patience).Should(Equal(5))
		made.closeLast()
		b.pausing(1)
		b.patch(ctx, `{"spec":{"cancel":true}}`)
		b.clock.Step(time.Minute)
		message, err := b.ended()
		Expect(err).To(HaveOccurred())
		Expect(result.IsCanceled(message)).To(BeTrue())
		Expect(b.warnings()).To(BeEmpty())
	})

	It("shows what happens between reading and watching", func(ctx context.Context) {
		b := newBench(ctx, v2alpha1.PhasePrepared)
		b.intercept(interceptor.Funcs{
			Watch: func(
				ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption,
			) (watch.Interface, error) {
				b.remove(ctx)
				return c.Watch(ctx, list, opts...)
			},
		})
		b.start()
		message, err := b.ended()
		Expect(err).To(HaveOccurred())
		Expect(message).To(HaveSuffix("is gone: data path is canceled"))
	})

	It("is established again after an error event", func(ctx context.Context) {
		b := newBench(ctx, v2alpha1.PhasePrepared)
		first := watch.NewFakeWithChanSize(1, false)
		status := apierrors.NewResourceExpired("too old").Status()
		first.Error(&status)
		used := false
		b.intercept(interceptor.Funcs{
			Watch: func(
				ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption,
			) (watch.Interface, error) {
				if !used {
					used = true
					return first, nil
				}
				return c.Watch(ctx, list, opts...)
			},
		})
		b.start()
		again(b)
		b.waiting()
		Expect(b.warnings()).To(ConsistOf("Cannot see the DataUpload change, trying again"))
		b.setPhase(ctx, v2alpha1.PhaseInProgress)
		b.uploading()
	})

	It("slows down while the API server does not answer", func(ctx context.Context) {
		b := newBench(ctx, v2alpha1.PhaseInProgress)
		failures := make(chan error, 3)
		for range cap(failures) {
			failures <- errors.New("connection refused")
		}
		b.intercept(failingCalls(failures))
		b.start()
		for range cap(failures) {
			again(b)
		}
		b.uploading()
		var delays []time.Duration
		for _, entry := range b.logs.AllEntries() {
			if delay, ok := entry.Data["delay"].(time.Duration); ok {
				delays = append(delays, delay)
			}
		}
		Expect(delays).To(HaveLen(3))
		Expect(delays[0]).To(BeNumerically("~", 625*time.Millisecond, 125*time.Millisecond))
	})

	It("goes on uploading when it is forbidden later", func(ctx context.Context) {
		b := newBench(ctx, v2alpha1.PhaseInProgress)
		made := &watches{}
		failures := make(chan error, 1)
		b.intercept(made.funcs())
		b.intercept(failingCalls(failures))
		b.start()
		b.uploading()
		Eventually(made.count).WithTimeout(patience).Should(Equal(1))
		failures <- errForbidden
		made.closeLast()
		for range 2 {
			b.pausing(1)
			b.clock.Step(10 * time.Second)
		}
		Eventually(made.count).WithTimeout(patience).Should(Equal(2))
		b.uploader.succeed()
		_, err := b.ended()
		Expect(err).NotTo(HaveOccurred())
	})

	DescribeTable("fails the move when it is forbidden from the start",
		func(ctx context.Context, funcs interceptor.Funcs, want string) {
			b := newBench(ctx, v2alpha1.PhaseInProgress)
			b.intercept(funcs)
			b.start()
			message, err := b.ended()
			Expect(err).To(MatchError(message))
			Expect(message).To(HavePrefix(want + " DataUpload " + b.namespace + "/" + duName + ": "))
			Expect(message).To(ContainSubstring("is forbidden"))
			Expect(result.IsCanceled(message)).To(BeFalse())
		},
		Entry("to read", interceptor.Funcs{
			Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
				return errForbidden
			},
		}, "get"),
		Entry("to watch", interceptor.Funcs{
			Watch: func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) (watch.Interface, error) {
				return nil, errForbidden
			},
		}, "watch"),
	)
})

// failingCalls answers reads and writes of the DataUpload with the errors that the channel holds.
func failingCalls(failures <-chan error) interceptor.Funcs {
	failure := func(obj client.Object) error {
		if _, ok := obj.(*v2alpha1.DataUpload); ok {
			select {
			case err := <-failures:
				return err
			default:
			}
		}
		return nil
	}
	return interceptor.Funcs{
		Get: func(
			ctx context.Context, c client.WithWatch, key client.ObjectKey, obj client.Object, opts ...client.GetOption,
		) error {
			if err := failure(obj); err != nil {
				return err
			}
			return c.Get(ctx, key, obj, opts...)
		},
		Patch: func(
			ctx context.Context, c client.WithWatch, obj client.Object, patch client.Patch, opts ...client.PatchOption,
		) error {
			if err := failure(obj); err != nil {
				return err
			}
			return c.Patch(ctx, obj, patch, opts...)
		},
	}
}
