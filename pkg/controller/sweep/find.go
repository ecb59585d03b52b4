package sweep

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/controller/dataupload"
)

// Object is one object that was left over.
type Object struct {
	Kind, Namespace, Name string
	UID                   types.UID
	Created               time.Time
}

// String is namespace and name, or the name of what has no namespace.
func (o Object) String() string {
	return strings.TrimPrefix(o.Namespace+"/"+o.Name, "/")
}

// Kinds of objects that are made for DataUploads, in the order in which they are removed.
const (
	podKind             = "Pod"
	pvcKind             = "PersistentVolumeClaim"
	pvKind              = "PersistentVolume"
	snapshotKind        = "VolumeSnapshot"
	snapshotContentKind = "VolumeSnapshotContent"
)

var kinds = []string{podKind, pvcKind, pvKind, snapshotKind, snapshotContentKind}

// Orphans are the objects of one DataUpload that no clean-up follows any more.
type Orphans struct {
	// DataUpload is the one that they were made for.
	DataUpload types.NamespacedName
	// UID is that DataUpload's. Another one of the same name has another.
	UID types.UID
	// Why says what became of the DataUpload.
	Why string
	// Due is when their grace time is over.
	Due time.Time
	// Objects are in the order of kinds, which is that of removal.
	Objects []Object

	leftovers dataupload.Leftovers
}

// find lists what is left over, as far as reader knows it and selector lets it through, in the order of DataUploads.
func (s *Sweeper) find(ctx context.Context, reader client.Reader, selector client.ListOption) ([]*Orphans, error) {
	// Objects first: the DataUpload of one that is there was there before it.
	objects, err := s.list(ctx, reader, selector)
	if err != nil {
		return nil, err
	}
	var all []*Orphans
	for _, group := range s.group(objects) {
		du := &v2alpha1.DataUpload{}
		if err := reader.Get(ctx, group.DataUpload, du); apierrors.IsNotFound(err) {
			du = nil
		} else if err != nil {
			return nil, fmt.Errorf("reading dataupload %s: %w", group.DataUpload, err)
		}
		if s.judge(group, du) {
			all = append(all, group)
		}
	}
	return all, nil
}

// judge tells whether nobody cleans up after the DataUpload, and completes the group if so. du is the DataUpload of that
// name; nil if there is none.
func (s *Sweeper) judge(group *Orphans, du *v2alpha1.DataUpload) bool {
	// Nothing tells when a DataUpload was deleted; then the youngest object says how long ago something still happened.
	since := time.Time{}
	for _, object := range group.Objects {
		since = latest(since, object.Created)
	}
	switch {
	case du == nil:
		group.Why = "the DataUpload is gone"
	case du.UID != group.UID:
		group.Why = "the DataUpload is gone, and another one has its name"
	case du.Status.Phase.IsTerminal() && !controllerutil.ContainsFinalizer(du, v2alpha1.Finalizer):
		group.Why = fmt.Sprintf("the DataUpload is %s, but lost its finalizer before all was removed", du.Status.Phase)
		group.leftovers.DataUpload = du
		if ended := du.Status.CompletionTimestamp; ended != nil {
			since = latest(since, ended.Time)
		}
	default:
		return false
	}
	if group.leftovers.DataUpload == nil {
		gone := &v2alpha1.DataUpload{}
		gone.Namespace, gone.Name, gone.UID = group.DataUpload.Namespace, group.DataUpload.Name, group.UID
		group.leftovers.DataUpload = gone
	}
	group.Due = since.Add(s.Grace)
	return true
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// list lists all that carries our label, kind by kind.
func (s *Sweeper) list(ctx context.Context, reader client.Reader, selector client.ListOption) ([]client.Object, error) {
	pods, pvcs, volumes := &corev1.PodList{}, &corev1.PersistentVolumeClaimList{}, &corev1.PersistentVolumeList{}
	aliases, contents := &snapshotv1.VolumeSnapshotList{}, &snapshotv1.VolumeSnapshotContentList{}
	for _, kind := range []struct {
		name      string
		list      client.ObjectList
		namespace string
	}{
		{"pods", pods, s.Namespace},
		{"persistentvolumeclaims", pvcs, s.Namespace},
		{"persistentvolumes", volumes, ""},
		{"volumesnapshots", aliases, s.Namespace},
		{"volumesnapshotcontents", contents, ""},
	} {
		if err := reader.List(ctx, kind.list, client.InNamespace(kind.namespace), selector); err != nil {
			return nil, fmt.Errorf("listing %s made for DataUploads: %w", kind.name, err)
		}
	}
	return slices.Concat(
		objectsOf(pods.Items), objectsOf(pvcs.Items), objectsOf(volumes.Items), objectsOf(aliases.Items), objectsOf(contents.Items),
	), nil
}

// objectsOf turns items of a list into objects.
func objectsOf[T any, P interface {
	*T
	client.Object
}](items []T) []client.Object {
	objects := make([]client.Object, 0, len(items))
	for i := range items {
		objects = append(objects, P(&items[i]))
	}
	return objects
}

// group puts together what was made for the same DataUpload, and leaves out what is not ours.
func (s *Sweeper) group(objects []client.Object) []*Orphans {
	type key struct {
		name types.NamespacedName
		uid  types.UID
	}
	groups := map[key]*Orphans{}
	var ordered []*Orphans
	for _, obj := range objects {
		name, uid, ours := ownerOf(obj, s.Namespace)
		if !ours {
			continue
		}
		group := groups[key{name, uid}]
		if group == nil {
			group = &Orphans{DataUpload: name, UID: uid}
			groups[key{name, uid}] = group
			ordered = append(ordered, group)
		}
		group.add(obj)
	}
	slices.SortStableFunc(ordered, func(a, b *Orphans) int { return strings.Compare(a.DataUpload.Name, b.DataUpload.Name) })
	return ordered
}

// add takes an object of the DataUpload into the group.
func (o *Orphans) add(obj client.Object) {
	kind := ""
	switch typed := obj.(type) {
	case *corev1.Pod:
		kind, o.leftovers.Pod = podKind, typed
	case *corev1.PersistentVolumeClaim:
		kind, o.leftovers.PVC = pvcKind, typed
	case *corev1.PersistentVolume:
		kind = pvKind
	case *snapshotv1.VolumeSnapshot:
		kind, o.leftovers.Alias = snapshotKind, typed
	case *snapshotv1.VolumeSnapshotContent:
		kind = snapshotContentKind
		if typed.Name == o.DataUpload.Name {
			o.leftovers.AliasContent = typed
		} else {
			o.leftovers.SourceContent = typed
		}
	}
	o.Objects = append(o.Objects, Object{
		Kind: kind, Namespace: obj.GetNamespace(), Name: obj.GetName(), UID: obj.GetUID(), Created: obj.GetCreationTimestamp().Time,
	})
}
