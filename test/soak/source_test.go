package soak

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/test/installation"
)

// source is a workload's volume. It never changes, so that each snapshot of it must restore to what it is.
type source struct {
	claim *corev1.PersistentVolumeClaim
	// dir is where the local node keeps its data.
	dir string
}

// makeSources fills volumes that differ: what was restored from another one's snapshot would be noticed.
func makeSources(ctx context.Context) {
	for i, namespace := range []string{"shop", "shop", "office", "office"} {
		sources = append(sources, makeSource(ctx, namespace, fmt.Sprintf("data-%d", i), class))
	}
}

func makeSource(ctx context.Context, namespace, name, class string) *source {
	claim := installation.NewClaim(namespace, name, class, "1Gi")
	Expect(cluster.Create(ctx, claim)).To(Succeed())
	Eventually(func(g Gomega) {
		g.Expect(cluster.Get(ctx, client.ObjectKeyFromObject(claim), claim)).To(Succeed())
		g.Expect(claim.Status.Phase).To(Equal(corev1.ClaimBound))
	}).Should(Succeed())
	made := &source{claim: claim, dir: node.Storage.VolumePath(claim.Spec.VolumeName)}
	Expect(made.fill()).To(Succeed())
	return made
}

// fill writes a small tree, the same for each run of one seed.
func (s *source) fill() error {
	const files, maxBytes = 12, 64 << 10
	random := random("content of " + s.claim.Name)
	var errs []error
	for _, sub := range []string{"a", "a/b", "empty"} {
		errs = append(errs, os.Mkdir(filepath.Join(s.dir, sub), 0o750))
	}
	for i := range files {
		content := make([]byte, random.IntN(maxBytes))
		for j := range content {
			content[j] = byte(random.Uint32())
		}
		name := filepath.Join(s.dir, []string{".", "a", "a/b"}[i%3], fmt.Sprintf("file-%02d", i))
		errs = append(errs, os.WriteFile(name, content, 0o640),
			os.Chtimes(name, time.Time{}, time.Unix(int64(random.IntN(1<<30)), 123456789)))
	}
	return errors.Join(append(errs, os.Symlink("a/file-01", filepath.Join(s.dir, "link")))...)
}

// upload is a DataUpload and what it was made of.
type upload struct {
	source *source
	name   string
	// handle is the storage's name of its snapshot.
	handle string
}

// startUpload does what a Velero backup does for a volume.
func startUpload(ctx context.Context, from *source, backup string) (*upload, error) {
	snapshot := installation.NewSnapshot(from.claim, backup)
	if err := cluster.Create(ctx, snapshot); err != nil {
		return nil, fmt.Errorf("create VolumeSnapshot: %w", err)
	}
	made := &upload{source: from}
	if err := made.awaitHandle(ctx, snapshot); err != nil {
		return nil, err
	}
	du := installation.NewDataUpload(from.claim, snapshot, backup)
	if err := cluster.Create(ctx, du); err != nil {
		return nil, fmt.Errorf("create DataUpload: %w", err)
	}
	made.name = du.Name
	return made, nil
}

func (u *upload) awaitHandle(ctx context.Context, snapshot *snapshotv1.VolumeSnapshot) error {
	const often, limit = 20 * time.Millisecond, time.Minute
	err := wait.PollUntilContextTimeout(ctx, often, limit, true, func(ctx context.Context) (_ bool, err error) {
		u.handle, err = installation.SnapshotHandle(ctx, cluster, snapshot)
		return u.handle != "", err
	})
	if err != nil {
		return fmt.Errorf("wait for storage snapshot: %w", err)
	}
	return nil
}

// cancel asks to cancel the DataUpload, as a Velero backup does.
func (u *upload) cancel(ctx context.Context) error {
	du := &v2alpha1.DataUpload{ObjectMeta: installation.InVelero(u.name)}
	return cluster.Patch(ctx, du, client.RawPatch("application/merge-patch+json", []byte(`{"spec": {"cancel": true}}`)))
}

func (u *upload) delete(ctx context.Context) error {
	return client.IgnoreNotFound(cluster.Delete(ctx, &v2alpha1.DataUpload{ObjectMeta: installation.InVelero(u.name)}))
}

// Ways for a backup pod to be lost.
const (
	killed  = "mover killed"
	removed = "pod deleted"
	evicted = "pod evicted"
)

// lose makes the upload lose a pod. It tells whether it did: the pod may be over.
func lose(ctx context.Context, pod *corev1.Pod, how string) (bool, error) {
	var err error
	switch how {
	case killed:
		return signalMover(pod, kill), nil
	case removed:
		err = cluster.Delete(ctx, pod, client.Preconditions{UID: &pod.UID})
	case evicted:
		err = evict(ctx, pod)
	}
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return false, nil
	}
	return err == nil, err
}

// evict does as a kubelet does that is short of memory.
func evict(ctx context.Context, pod *corev1.Pod) error {
	if err := cluster.Get(ctx, client.ObjectKeyFromObject(pod), pod); err != nil {
		return err
	}
	before := pod.DeepCopy()
	pod.Status.Phase, pod.Status.Reason = corev1.PodFailed, "Evicted"
	pod.Status.Message = "The node was low on resource: memory. Threshold quantity: 100Mi, available: 52Mi."
	return cluster.Status().Patch(ctx, pod, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
}
