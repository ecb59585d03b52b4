package repository_test

import (
	"context"
	"net/http"
	"sync/atomic"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
	"github.com/node-agent/node-agent/pkg/repository"
	"github.com/node-agent/node-agent/pkg/repository/repositorytest"
	"github.com/node-agent/node-agent/pkg/repository/restore"
)

var _ = DescribeTable("Nothing is written into a repository", func(ctx context.Context, change func(*repository.Access)) {
	store := newS3Store()
	volume := GinkgoT().TempDir()
	put(volume, "file", randomBytes(1, 1<<20), 0o644)
	writing := open(ctx, store.access(namespace))
	id := uploaded(ctx, writing, volume)
	repositorytest.AddManifests(ctx, writing)
	before := store.blobs(namespace)

	var refused atomic.Int32
	store.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			return false
		}
		refused.Add(1)
		return answerS3(w, http.StatusForbidden, "AccessDenied", "Read only.")
	})
	access := store.access(namespace)
	change(&access)
	reading, err := repository.Open(ctx, access)
	Expect(err).NotTo(HaveOccurred())
	Expect(reading.Snapshots(ctx, namespace, pvc)).To(HaveLen(1))
	target := GinkgoT().TempDir()
	Expect(restoreInto(ctx, reading, id, target)).To(Succeed())
	Expect(restore.Verify(ctx, reading, restore.Request{SnapshotID: id, Path: target})).To(Succeed())
	Expect(reading.Close(ctx)).To(Succeed())
	expectSame(describe(target), describe(volume))
	Expect(refused.Load()).To(BeZero())
	Expect(store.blobs(namespace)).To(ConsistOf(before))
},
	Entry("by a restore", func(a *repository.Access) { a.Restore = true }),
	Entry("if its location is read-only", func(a *repository.Access) {
		a.Location.Spec.AccessMode = velerov1.BackupStorageLocationReadOnly
	}),
)
