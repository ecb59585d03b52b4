package upload

import (
	"context"

	"github.com/kopia/kopia/repo"
	"github.com/kopia/kopia/snapshot"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
	"github.com/node-agent/node-agent/pkg/repository"
	"github.com/node-agent/node-agent/pkg/repository/store"
)

var _ = Describe("Checkpoints of one upload", func() {
	It("take the place of each other, and none appears after the end", func(ctx context.Context) {
		access := repository.Access{
			Access: store.Access{
				Location: &velerov1.BackupStorageLocation{Spec: velerov1.BackupStorageLocationSpec{
					Provider: "velero.io/fs", Config: map[string]string{"fspath": GinkgoT().TempDir()},
				}},
				VolumeNamespace: "shop",
			},
			Password: "password", StateDir: GinkgoT().TempDir(),
		}
		Expect(repository.Initialize(ctx, access)).To(Succeed())
		opened, err := repository.Open(ctx, access)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(opened.Close)
		source := repository.SourceOf("shop", "data")
		session := repo.WriteSessionOptions{Purpose: "test"}
		Expect(repo.WriteSession(ctx, opened.Kopia(), session, func(ctx context.Context, writer repo.RepositoryWriter) error {
			checkpoints := &checkpointWriter{RepositoryWriter: writer, incremental: func() int64 { return 17 }}
			save := func() error {
				_, err := snapshot.SaveSnapshot(ctx, checkpoints, &snapshot.Manifest{
					Source: source, IncompleteReason: "checkpoint", Tags: map[string]string{"key": "value"},
				})
				return err
			}
			Expect(save()).To(Succeed())
			Expect(checkpoints.Flush(ctx)).To(Succeed())
			Expect(save()).To(Succeed())
			Expect(checkpoints.Flush(ctx)).To(Succeed())

			last, err := checkpoints.end()
			Expect(err).NotTo(HaveOccurred())
			late := MatchError(ContainSubstring("the upload has ended"))
			Expect(save()).To(late)
			Expect(checkpoints.Flush(ctx)).To(late)
			found, err := snapshot.ListSnapshots(ctx, writer, source)
			Expect(found).To(HaveExactElements(And(HaveField("ID", last), HaveField("Tags",
				map[string]string{"key": "value", "node-agent.io/incremental-bytes": "17"}))))
			return err
		})).To(Succeed())
	})
})
