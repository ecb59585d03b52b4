// Package repositorytest brings repositories into a state that tests need.
package repositorytest

import (
	"context"

	"github.com/kopia/kopia/repo"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/node-agent/node-agent/pkg/repository"
)

// manyManifests are more contents of manifests than Kopia leaves alone.
const manyManifests = 20

// AddManifests saves so many manifests, as other writers do that look at none, that whoever may write and looks at them next
// makes one content of theirs.
func AddManifests(ctx context.Context, opened *repository.Repository) {
	GinkgoHelper()
	for range manyManifests {
		Expect(repo.WriteSession(ctx, opened.Kopia(), repo.WriteSessionOptions{Purpose: "test"},
			func(ctx context.Context, writer repo.RepositoryWriter) error {
				_, err := writer.PutManifest(ctx, map[string]string{"type": "test"}, struct{}{})
				return err
			})).To(Succeed())
	}
}
