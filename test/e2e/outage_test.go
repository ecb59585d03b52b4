package e2e

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
)

// slowMovers makes an upload last long enough to be met.
const slowMovers = `{"podResources": {"cpuRequest": "10m", "cpuLimit": "150m", "memoryRequest": "0", "memoryLimit": "0"}}`

const outage = time.Minute

var _ = Describe("A backup survives", Label("kill", "outage"), func() {
	DescribeTable("that while its data is moved",
		func(ctx context.Context, program string, down time.Duration) {
			if objects == "" {
				Skip("it is not the testbed's cluster")
			}
			namespace, before := deploy(ctx, application{args: large})
			useOurAgent(ctx)
			configure(ctx, slowMovers)
			DeferCleanup(configure, "{}")
			startBackup(ctx, namespace)
			dataUpload(ctx, namespace, func(du v2alpha1.DataUpload) bool { return du.Status.Progress.BytesDone > 0 })

			run(ctx, "testbed", "stop", program)
			DeferCleanup(func(ctx context.Context) { run(ctx, "testbed", "start", program) })
			pause(ctx, down)
			run(ctx, "testbed", "start", program)
			dataUpload(ctx, namespace, inPhase(v2alpha1.DataUploadPhaseCompleted))
			expectRestorable(ctx, namespace, before)
		},
		Entry("the kubelet is stopped for a minute", "kubelet", outage, SpecTimeout(specLimit)),
		Entry("the API server is restarted", "kube-apiserver", time.Duration(0), SpecTimeout(specLimit)),
		Entry("the object store is down for a minute", "versitygw", outage, SpecTimeout(specLimit)),
	)
})

// pause lets time pass in the cluster, which has no fake clock.
func pause(ctx context.Context, duration time.Duration) {
	GinkgoHelper()
	select {
	case <-ctx.Done():
		Fail("interrupted")
	case <-time.After(duration):
	}
}
