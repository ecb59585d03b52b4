package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/test/installation"
)

// checkCleanedUp waits until a DataUpload or DataDownload is let go and nothing intermediate is left, and shows the count.
// taken is the storage snapshot that was moved, if any.
func (d *demo) checkCleanedUp(ctx context.Context, move v2alpha1.Transfer, taken *storageSnapshot) error {
	d.out.begin("waiting until all that was made for it is gone")
	var left []string
	err := wait.PollUntilContextTimeout(ctx, pollInterval, waitTimeout, true, func(ctx context.Context) (bool, error) {
		if err := d.client.Get(ctx, client.ObjectKeyFromObject(move), move); err != nil {
			return false, err
		}
		found, err := installation.Leftovers(ctx, d.client, d.node.Storage, d.workloads...)
		left = found
		held := controllerutil.ContainsFinalizer(move, v2alpha1.Finalizer)
		return len(left) == 0 && !held, err
	})
	if err != nil {
		d.out.print("\n")
		return errors.Join(fmt.Errorf("left over: %s", strings.Join(left, ", ")), err)
	}
	d.out.done()
	d.out.line("left over: 0 pods, 0 PVCs, 0 PVs, 0 VolumeSnapshots, 0 VolumeSnapshotContents, 0 storage snapshots")
	if taken == nil {
		return nil
	}
	deletions := d.node.Storage.Deletions(taken.handle)
	d.out.line("storage snapshot deleted: %s", times(deletions))
	if deletions != 1 {
		return fmt.Errorf("the storage snapshot %s was deleted %s", taken.handle, times(deletions))
	}
	return nil
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}
