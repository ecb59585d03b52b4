package upload

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"github.com/kopia/kopia/repo"
	"github.com/kopia/kopia/snapshot"
	"github.com/kopia/kopia/snapshot/policy"
)

// parallelUploadAboveSize is the size from which on one file is read in parts of this size at the same time.
const parallelUploadAboveSize = 2 << 30

// sourcePolicy is what Velero keeps as the policy of a volume. Data is stored without compression; directories are
// compressed with zstd-fastest by Kopia's default, which is also what Velero's own writer does.
func sourcePolicy(parallelFiles int) *policy.Policy {
	forever := new(policy.OptionalInt(math.MaxInt32))
	return &policy.Policy{
		RetentionPolicy: policy.RetentionPolicy{
			KeepLatest: forever, KeepAnnual: forever, KeepMonthly: forever,
			KeepWeekly: forever, KeepDaily: forever, KeepHourly: forever,
		},
		CompressionPolicy: policy.CompressionPolicy{CompressorName: "none"},
		UploadPolicy: policy.UploadPolicy{
			MaxParallelFileReads:    new(policy.OptionalInt(parallelFiles)),
			ParallelUploadAboveSize: new(policy.OptionalInt64(parallelUploadAboveSize)),
		},
		SchedulingPolicy:    policy.SchedulingPolicy{Manual: true},
		ErrorHandlingPolicy: policy.ErrorHandlingPolicy{IgnoreUnknownTypes: policy.NewOptionalBool(true)},
	}
}

// ensurePolicy keeps the policy of a volume and returns the policies that apply to it. A policy that is already kept is
// not written again, which saves the requests of a flush.
func ensurePolicy(
	ctx context.Context, writer repo.RepositoryWriter, source snapshot.SourceInfo, wanted *policy.Policy,
) (*policy.Tree, error) {
	kept, err := policy.GetDefinedPolicy(ctx, writer, source)
	if err != nil && !errors.Is(err, policy.ErrPolicyNotFound) {
		return nil, fmt.Errorf("read policy: %w", err)
	}
	if kept == nil || !samePolicy(kept, wanted) {
		if err := policy.SetPolicy(ctx, writer, source, wanted); err != nil {
			return nil, fmt.Errorf("set policy: %w", err)
		}
		if err := writer.Flush(ctx); err != nil {
			return nil, fmt.Errorf("flush policy: %w", err)
		}
	}
	tree, err := policy.TreeForSource(ctx, writer, source)
	if err != nil {
		return nil, fmt.Errorf("read policies: %w", err)
	}
	return tree, nil
}

// samePolicy compares what is stored of policies.
func samePolicy(a, b *policy.Policy) bool {
	first, err1 := json.Marshal(a)
	second, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && string(first) == string(second)
}
