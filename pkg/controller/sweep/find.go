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
	"github.com/node-agent/node-agent/pkg/controller/transfer"
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

// Kinds of objects that are made for DataUploads and DataDownloads, in the order in which they are removed.
const (
	podKind             = "Pod"
	pvcKind             = "PersistentVolumeClaim"
	pvKind              = "PersistentVolume"
	snapshotKind        = "VolumeSnapshot"
	snapshotContentKind = "VolumeSnapshotContent"
)

var kinds = []string{podKind, pvcKind, pvKind, snapshotKind, snapshotContentKind}

// Orphans are the objects of one DataUpload or DataDownload that no clean-up follows any more.
type Orphans struct {
	owner

	// Why says what became of the owner.
	Why string
	// Due is when their grace time is over.
	Due time.Time
	// Objects are in the order of kinds, which is that of removal.
	Objects []Object

	leftovers transfer.Leftovers
}

// UID is that of the owner.
func (o *Orphans) UID() types.UID { return o.uid }

// find lists what is left over, as far as reader knows it and selector lets it through, in the order of owners.
func (s *Sweeper) find(ctx context.Context, reader client.Reader, selector client.ListOption) ([]*Orphans, error) {
	// Objects first: the owner of one that is there was there before it.
	objects, err := s.list(ctx, reader, selector)
	if err != nil {
		return nil, err
	}
	var all []*Orphans
	for _, group := range s.group(objects) {
		found := group.newObject()
		if err := reader.Get(ctx, group.name, found); apierrors.IsNotFound(err) {
			found = nil
		} else if err != nil {
			return nil, fmt.Errorf("reading %s: %w", group.owner, err)
		}
		if s.judge(group, found) {
			all = append(all, group)
		}
	}
	return all, nil
}

// judge tells whether nobody cleans up after the owner, and completes the group if so. move is what has the owner's name; nil if
// there is none.
func (s *Sweeper) judge(group *Orphans, found v2alpha1.Transfer) bool {
	// Nothing tells when the owner was deleted; then the youngest object says how long ago something still happened.
	since := time.Time{}
	for _, object := range group.Objects {
		since = latest(since, object.Created)
	}
	gone := group.newObject()
	gone.SetNamespace(group.name.Namespace)
	gone.SetName(group.name.Name)
	gone.SetUID(group.uid)
	group.leftovers.Transfer = gone
	switch {
	case found == nil:
		group.Why = fmt.Sprintf("the %s is gone", group.kind)
	case found.GetUID() != group.uid:
		group.Why = fmt.Sprintf("the %s is gone, and another one has its name", group.kind)
	case found.TransferStatus().Phase.IsTerminal() && !controllerutil.ContainsFinalizer(found, v2alpha1.Finalizer):
		group.Why = fmt.Sprintf("the %s is %s, but lost its finalizer before all was removed", group.kind, found.TransferStatus().Phase)
		group.leftovers.Transfer = found
		if ended := found.TransferStatus().CompletionTimestamp; ended != nil {
			since = latest(since, ended.Time)
		}
	default:
		return false
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
			return nil, fmt.Errorf("listing %s made for DataUploads and DataDownloads: %w", kind.name, err)
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

// group puts together what was made for the same owner, and leaves out what is not ours.
func (s *Sweeper) group(objects []client.Object) []*Orphans {
	groups := map[owner]*Orphans{}
	var ordered []*Orphans
	for _, obj := range objects {
		owner, ours := ownerOf(obj, s.Namespace)
		if !ours {
			continue
		}
		group := groups[owner]
		if group == nil {
			group = &Orphans{owner: owner}
			groups[owner] = group
			ordered = append(ordered, group)
		}
		group.add(obj)
	}
	slices.SortStableFunc(ordered, func(a, b *Orphans) int { return strings.Compare(a.name.Name, b.name.Name) })
	return ordered
}

// add takes an object of the owner into the group.
func (o *Orphans) add(obj client.Object) {
	kind := ""
	switch obj.(type) {
	case *corev1.Pod:
		kind = podKind
	case *corev1.PersistentVolumeClaim:
		kind = pvcKind
	case *corev1.PersistentVolume:
		kind = pvKind
	case *snapshotv1.VolumeSnapshot:
		kind = snapshotKind
	case *snapshotv1.VolumeSnapshotContent:
		kind = snapshotContentKind
	}
	o.leftovers.Objects = append(o.leftovers.Objects, obj)
	o.Objects = append(o.Objects, Object{
		Kind: kind, Namespace: obj.GetNamespace(), Name: obj.GetName(), UID: obj.GetUID(), Created: obj.GetCreationTimestamp().Time,
	})
}
