package e2e

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
)

var _ = Describe("A block volume", Label("block"), func() {
	It("is backed up by us and restored by stock Velero", func(ctx context.Context) {
		namespace, before := deploy(ctx, application{block: true})
		useOurAgent(ctx)
		startBackup(ctx, namespace)
		upload := dataUpload(ctx, namespace, inPhase(v2alpha1.PhaseCompleted))
		Expect(upload.Status.Progress.TotalBytes).To(BeEquivalentTo(128 << 20))
		expectRestorable(ctx, namespace, before)
	}, SpecTimeout(specLimit))
})
