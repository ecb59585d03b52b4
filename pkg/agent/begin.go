package agent

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
)

const (
	// beginPeriod is how often an agent that leads but cannot begin tries again.
	beginPeriod = 2 * time.Second
	// beginPatience is how long informers may take before it is worth a word.
	beginPatience = 5 * time.Second
)

const (
	installVelero      = "install Velero's CRDs (velero install --crds-only)"
	installSnapshotter = "install the CRDs and the controller of the CSI external-snapshotter"
)

// awaitServed waits until the cluster serves all kinds that are worked on, and says what is missing. It fails when ctx
// ends first.
func (s *standstill) awaitServed(ctx context.Context, mapper meta.RESTMapper) bool {
	err := wait.PollUntilContextCancel(ctx, beginPeriod, true, func(context.Context) (bool, error) {
		missing := checkServed(mapper)
		s.hinder(missing)
		return missing == nil, nil
	})
	return err == nil
}

// checkServed fails with a readable message where the cluster lacks a CRD, which informers would only wait for.
func checkServed(mapper meta.RESTMapper) error {
	for _, required := range []struct {
		kind schema.GroupVersionKind
		hint string
	}{
		{v2alpha1.GroupVersion.WithKind(v2alpha1.KindDataUpload), installVelero},
		{v2alpha1.GroupVersion.WithKind(v2alpha1.KindDataDownload), installVelero},
		{snapshotv1.SchemeGroupVersion.WithKind("VolumeSnapshot"), installSnapshotter},
		{snapshotv1.SchemeGroupVersion.WithKind("VolumeSnapshotContent"), installSnapshotter},
	} {
		if _, err := mapper.RESTMapping(required.kind.GroupKind(), required.kind.Version); err != nil {
			return fmt.Errorf("the cluster does not serve %s (%w): %s", required.kind.Kind, err, required.hint)
		}
	}
	return nil
}

// watchedKinds are those that the cache limits, and those of which it holds all.
func watchedKinds(options cache.Options) []client.Object {
	return slices.AppendSeq([]client.Object{&snapshotv1.VolumeSnapshot{}, &storagev1.StorageClass{}}, maps.Keys(options.ByObject))
}

// watchErrors keeps the last error of each kind that informers cannot watch.
type watchErrors struct {
	mutex sync.Mutex
	last  map[string]error
}

// record is called by informers.
func (w *watchErrors) record(ctx context.Context, reflector *toolscache.Reflector, err error) {
	toolscache.DefaultWatchErrorHandler(ctx, reflector, err)
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if w.last == nil {
		w.last = map[string]error{}
	}
	w.last[reflector.TypeDescription()] = err
}

func (w *watchErrors) of(obj client.Object) error {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return w.last[fmt.Sprintf("%T", obj)]
}

// awaitInformers says which informers do not get ready, until all are. No controller works before that.
func (s *standstill) awaitInformers(ctx context.Context, informers cache.Informers, failures *watchErrors, watched []client.Object) {
	// The context's end is the only error.
	_ = wait.PollUntilContextCancel(ctx, beginPatience, false, func(ctx context.Context) (bool, error) {
		var unready error
		for _, obj := range watched {
			informer, err := informers.GetInformer(ctx, obj, cache.BlockUntilSynced(false))
			if err == nil && !informer.HasSynced() {
				err = failures.of(obj)
			}
			if err != nil {
				unready = fmt.Errorf("it cannot watch the cluster: %w", err)
				break
			}
		}
		s.hinder(unready)
		return unready == nil, nil
	})
}
