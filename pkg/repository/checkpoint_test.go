package repository_test

import (
	"context"

	"github.com/kopia/kopia/repo"
	"github.com/kopia/kopia/snapshot"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/node-agent/node-agent/pkg/repository"
)

var _ = Describe("Checkpoints of one upload", func() {
	It("take the place of each other, and none appears after the end", func(ctx context.Context) {
		store := &directoryStore{dir: GinkgoT().TempDir()}
		initialize(ctx, store.access(namespace))
		write(ctx, likeVelero(ctx, store), func(ctx context.Context, writer repo.RepositoryWriter) error {
			checkpoints, end := repository.NewCheckpointWriter(writer)
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

			last, err := end()
			Expect(err).NotTo(HaveOccurred())
			late := MatchError(ContainSubstring("the upload has ended"))
			Expect(save()).To(late)
			Expect(checkpoints.Flush(ctx)).To(late)
			found, err := snapshot.ListSnapshots(ctx, writer, source)
			Expect(found).To(HaveExactElements(And(HaveField("ID", last), HaveField("Tags",
				map[string]string{"key": "value", "node-agent.io/incremental-bytes": "17"}))))
			return err
		})
	})
})
