package e2e

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// expectRestorable waits until the backup of a namespace is complete, and lets stock Velero restore it.
func expectRestorable(ctx context.Context, namespace, listing string) {
	GinkgoHelper()
	expectRestorableFrom(ctx, namespace, map[string]string{namespace: listing})
}

// expectRestorableFrom does that for a backup of some namespaces, whose volumes held what the listings say.
func expectRestorableFrom(ctx context.Context, backup string, listings map[string]string) {
	GinkgoHelper()
	expectBackup(ctx, backup, "Completed")
	expectNothingLeft(ctx)
	useStockAgent(ctx)
	for namespace := range listings {
		deleteNamespace(ctx, namespace)
	}
	restore(ctx, backup)
	for namespace, listing := range listings {
		Expect(listingOf(ctx, namespace)).To(Equal(listing), "bytes, modes, owners and times of all entries")
	}
	expectNothingLeft(ctx)
}
