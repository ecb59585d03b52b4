package mover_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/repository"
	"github.com/node-agent/node-agent/pkg/repository/upload"
)

// quiet is how long a spec watches for something that must not happen.
const quiet = 200 * time.Millisecond

func progressOf(total, done int64) repository.Progress {
	return repository.Progress{TotalBytes: total, BytesDone: done}
}

var _ = Describe("The progress of an upload", func() {
	var (
		b       *bench
		request upload.Request
		bodies  chan string
		fail    chan error
	)

	BeforeEach(func(ctx context.Context) {
		b = newBench(ctx, v2alpha1.PhaseInProgress)
		bodies = make(chan string, 10)
		fail = make(chan error, 10)
		b.intercept(interceptor.Funcs{
			Patch: func(
				ctx context.Context, c client.WithWatch, obj client.Object, patch client.Patch, opts ...client.PatchOption,
			) error {
				body, err := patch.Data(obj)
				Expect(err).NotTo(HaveOccurred())
				if !strings.Contains(string(body), "progress") {
					return c.Patch(ctx, obj, patch, opts...) // that of the snapshot's ID
				}
				bodies <- string(body)
				select {
				case err := <-fail:
					return err
				default:
					return c.Patch(ctx, obj, patch, opts...)
				}
			},
		})
		b.start()
		request = b.uploading()
		Expect(request.ProgressInterval).To(Equal(time.Second))
	})

	// pausing returns once the reporter waits for the next interval.
	pausing := func() {
		GinkgoHelper()
		b.pausing(1)
	}
	body := func(progress string) string {
		return `{"metadata":{"uid":"` + string(b.du.UID) + `"},"status":{"progress":` + progress + `}}`
	}
	succeeds := func() {
		GinkgoHelper()
		b.uploader.succeed()
		_, err := b.ended()
		Expect(err).NotTo(HaveOccurred())
	}

	It("is written at once, then after growing pauses of up to ten seconds, and last", func(ctx context.Context) {
		request.Progress(progressOf(100, 0))
		Eventually(bodies).WithTimeout(patience).Should(Receive(Equal(body(`{"bytesDone":0,"totalBytes":100}`))))
		for i, seconds := range []int{1, 2, 4, 8, 10, 10} {
			pausing()
			request.Progress(progressOf(100, 5))
			request.Progress(progressOf(100, int64(10+i)))
			b.clock.Step(time.Duration(seconds)*time.Second - time.Millisecond)
			Consistently(bodies).WithTimeout(quiet).ShouldNot(Receive())
			b.clock.Step(time.Millisecond)
			Eventually(bodies).WithTimeout(patience).Should(Receive(Equal(body(fmt.Sprintf(`{"bytesDone":%d,"totalBytes":100}`, 10+i)))))
		}
		pausing()
		succeeds()
		Expect(bodies).To(Receive(Equal(body(`{"bytesDone":100,"totalBytes":100}`))))
		Expect(bodies).NotTo(Receive())
		Expect(b.progress(ctx)).To(Equal(v2alpha1.DataMoveOperationProgress{TotalBytes: 100, BytesDone: 100}))
	})

	It("is written only when it changed", func() {
		request.Progress(progressOf(0, 0))
		Consistently(bodies).WithTimeout(quiet).ShouldNot(Receive())
		request.Progress(progressOf(100, 100))
		Eventually(bodies).WithTimeout(patience).Should(Receive())
		pausing()
		request.Progress(progressOf(100, 100))
		b.clock.Step(10 * time.Second)
		Consistently(bodies).WithTimeout(quiet).ShouldNot(Receive())
		succeeds()
		Expect(bodies).NotTo(Receive())
	})

	It("does not end the upload when it cannot be written", func(ctx context.Context) {
		fail <- errors.New("no answer")
		request.Progress(progressOf(100, 10))
		Eventually(bodies).WithTimeout(patience).Should(Receive())
		pausing()
		Expect(b.warnings()).To(ConsistOf("Cannot report progress"))
		request.Progress(progressOf(100, 10))
		b.clock.Step(10 * time.Second)
		Eventually(bodies).WithTimeout(patience).Should(Receive(Equal(body(`{"bytesDone":10,"totalBytes":100}`))))
		pausing()
		Expect(b.progress(ctx)).To(Equal(v2alpha1.DataMoveOperationProgress{TotalBytes: 100, BytesDone: 10}))
		fail <- errors.New("no answer")
		succeeds()
		Expect(b.warnings()).To(HaveLen(2))
	})

	It("never holds up the upload", func() {
		returned := make(chan struct{})
		go func() {
			defer close(returned)
			for done := range int64(10000) {
				request.Progress(progressOf(10000, done))
			}
		}()
		Eventually(returned).WithTimeout(patience).Should(BeClosed())
		succeeds()
		Expect(len(bodies)).To(BeNumerically("<=", 2))
	})
})
