package e2e

import (
	"context"
	"slices"
	"strings"

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
		expectRestored(ctx, namespace, listing)
	}
	expectNothingLeft(ctx)
}

// expectRestored checks that the volumes of a namespace hold what they held before.
func expectRestored(ctx context.Context, namespace, listing string) {
	GinkgoHelper()
	before, after := strings.Split(listing, "\n"), strings.Split(listingOf(ctx, namespace), "\n")
	Expect(lacking(after, before)).To(BeEmpty(), "entries that were there before, with mode, owner, time, size and content")
	Expect(lacking(before, after)).To(BeEmpty(), "entries that were not")
}

// lacking are the lines that a listing should have, but has not.
func lacking(lines, wanted []string) []string {
	var missing []string
	for _, line := range wanted {
		if !slices.Contains(lines, line) {
			missing = append(missing, line)
		}
	}
	return missing
}
