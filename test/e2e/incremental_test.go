package e2e

import (
	"context"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
)

var _ = Describe("A second backup", Label("incremental"), func() {
	It("uploads what has changed", func(ctx context.Context) {
		const added, overhead = 8 << 20, 1 << 20
		namespace, _ := deploy(ctx, application{args: large})
		useOurAgent(ctx)
		first, second := namespace, namespace+"-second"
		startBackup(ctx, first)
		expectBackup(ctx, first, "Completed")
		full := dataUpload(ctx, first, inPhase(v2alpha1.PhaseCompleted))

		changed := addData(ctx, namespace, added)
		before := storedBytes()
		startBackupOf(ctx, second, []string{namespace})
		expectBackup(ctx, second, "Completed")
		upload := dataUpload(ctx, second, inPhase(v2alpha1.PhaseCompleted))
		stored := storedBytes() - before

		AddReportEntry("bytes", fmt.Sprintf("first backup read %d, the second %d of %d and stored %d for %d that were added",
			full.Status.IncrementalBytes, upload.Status.IncrementalBytes, upload.Status.Progress.TotalBytes, stored, added))
		Expect(full.Status.IncrementalBytes).To(BeNumerically(">", 200<<20))
		Expect(upload.Status.IncrementalBytes).To(BeNumerically("~", added, overhead), "bytes read")
		Expect(upload.Status.Progress.TotalBytes).To(BeNumerically("~", full.Status.Progress.TotalBytes+added, overhead))
		if objects != "" {
			Expect(stored).To(BeNumerically("~", added, overhead), "bytes in the object store")
		}
		expectRestorableFrom(ctx, second, map[string]string{namespace: changed})
	}, SpecTimeout(specLimit))
})

var _ = Describe("One backup", Label("many"), func() {
	It("moves several volumes of several namespaces at once", func(ctx context.Context) {
		before := map[string]string{}
		var namespaces []string
		for range 2 {
			namespace, listing := deploy(ctx, application{volumes: 2})
			before[namespace] = listing
			namespaces = append(namespaces, namespace)
		}
		useOurAgent(ctx)
		configure(ctx, `{"loadConcurrency": {"globalConfig": 4}}`)
		DeferCleanup(configure, "{}")
		startBackupOf(ctx, namespaces[0], namespaces)
		expectRestorableFrom(ctx, namespaces[0], before)
	}, SpecTimeout(specLimit))

	DescribeTable("of 20 volumes moves as many at a time as the configuration says",
		func(ctx context.Context, concurrency int, resources string) {
			namespace, _ := deploy(ctx, application{volumes: 20})
			useOurAgent(ctx)
			configure(ctx, fmt.Sprintf(`{"loadConcurrency": {"globalConfig": %d}, "podResources": %s}`, concurrency, resources))
			DeferCleanup(configure, "{}")
			startBackup(ctx, namespace)
			began := time.Now()

			most := 0
			Eventually(func(g Gomega) {
				uploads, err := dataUploads(ctx, namespace)
				g.Expect(err).NotTo(HaveOccurred())
				moving, done := 0, 0
				for _, upload := range uploads {
					switch upload.Status.Phase {
					case v2alpha1.PhaseInProgress:
						moving++
					case v2alpha1.PhaseCompleted:
						done++
					default:
					}
				}
				most = max(most, moving)
				g.Expect(done).To(Equal(20))
			}).WithTimeout(2 * aBackup).WithPolling(100 * time.Millisecond).Should(Succeed())
			AddReportEntry("concurrency", fmt.Sprintf("%d at a time, at most %d seen, 20 volumes in %s", concurrency, most, time.Since(began)))
			Expect(most).To(Equal(concurrency))
			expectBackup(ctx, namespace, "Completed")
			expectNothingLeft(ctx)
		},
		Entry("one", 1, `{}`, SpecTimeout(2*specLimit)),
		// Velero takes up to ten seconds for each snapshot. Four meet only if each moves data for longer than three of these.
		Entry("four", 4, `{"cpuRequest": "10m", "cpuLimit": "20m", "memoryRequest": "0", "memoryLimit": "0"}`, SpecTimeout(2*specLimit)),
	)
})
