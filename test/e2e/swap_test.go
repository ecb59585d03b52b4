package e2e

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
)

var _ = Describe("An installation of stock Velero", Label("swap"), func() {
	It("backs up with our image, and restores with its own what was backed up", func(ctx context.Context) {
		namespace, before := deploy(ctx)
		useOurAgent(ctx)
		startBackup(ctx, namespace)
		expectRestorable(ctx, namespace, before)
	}, SpecTimeout(specLimit))
})
