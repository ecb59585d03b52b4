package e2e

import (
	"context"
	"fmt"
	"os/exec"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
)

const (
	// slow movers make an upload last long enough to be met.
	slow       = `{"cpuRequest": "10m", "cpuLimit": "150m", "memoryRequest": "0", "memoryLimit": "0"}`
	slowMovers = `{"podResources": ` + slow + `}`
)

const (
	outage    = time.Minute
	apiServer = "kube-apiserver"
)

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
			dataUpload(ctx, namespace, func(status v2alpha1.TransferStatus) bool { return status.Progress.BytesDone > 0 })

			if program == apiServer {
				// Velero 1.18 takes an API server that does not answer for the end of the DataUpload, and calls the backup Completed.
				scaleVelero(ctx, 0)
				DeferCleanup(scaleVelero, 1)
			}
			run(ctx, "testbed", "stop", program)
			DeferCleanup(func(ctx context.Context) { run(ctx, "testbed", "start", program) })
			pause(ctx, down)
			run(ctx, "testbed", "start", program)
			if program == apiServer {
				Eventually(func() error { return exec.CommandContext(ctx, "kubectl", "get", "--raw", "/readyz").Run() }).Should(Succeed())
				scaleVelero(ctx, 1)
			}
			dataUpload(ctx, namespace, inPhase(v2alpha1.PhaseCompleted))
			configure(ctx, "{}") // A restore need not be slow.
			expectRestorable(ctx, namespace, before)
		},
		Entry("the kubelet is stopped for a minute", "kubelet", outage, SpecTimeout(specLimit)),
		Entry("the API server is restarted", apiServer, time.Duration(0), SpecTimeout(specLimit)),
		Entry("the object store is down for a minute", "versitygw", outage, SpecTimeout(specLimit)),
	)
})

// scaleVelero starts or stops Velero's server.
func scaleVelero(ctx context.Context, replicas int) {
	GinkgoHelper()
	run(ctx, "kubectl", "scale", "-n", veleroNamespace, "deployment/velero", fmt.Sprintf("--replicas=%d", replicas))
	run(ctx, "kubectl", "rollout", "status", "-n", veleroNamespace, "deployment/velero", "--timeout=2m")
}

// pause lets time pass in the cluster, which has no fake clock.
func pause(ctx context.Context, duration time.Duration) {
	GinkgoHelper()
	select {
	case <-ctx.Done():
		Fail("interrupted")
	case <-time.After(duration):
	}
}
