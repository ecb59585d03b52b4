package faults

import (
	"context"
	"net/http"
	"slices"
	"strings"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	gomegatypes "github.com/onsi/gomega/types"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/attempts"
	"github.com/node-agent/node-agent/pkg/expose"
	"github.com/node-agent/node-agent/test/cluster"
)

// altered is the client of a reconciler, with something changed about it. Functions that are nil change nothing.
type altered struct {
	client.Client
	get    func(client.Object) error
	create func(client.Object) bool
	delete func(client.Object) bool
	patch  func(context.Context, client.Object, client.Patch) error
}

func (b *altered) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	if err := b.Client.Get(ctx, key, obj, opts...); err != nil || b.get == nil {
		return err
	}
	return b.get(obj)
}

func (b *altered) Create(ctx context.Context, obj client.Object, opts ...client.CreateOption) error {
	if b.create != nil && b.create(obj) {
		return nil
	}
	return b.Client.Create(ctx, obj, opts...)
}

func (b *altered) Delete(ctx context.Context, obj client.Object, opts ...client.DeleteOption) error {
	if b.delete != nil && b.delete(obj) {
		return nil
	}
	return b.Client.Delete(ctx, obj, opts...)
}

func (b *altered) Patch(ctx context.Context, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
	if b.patch == nil {
		return b.Client.Patch(ctx, obj, patch, opts...)
	}
	return b.patch(ctx, obj, patch)
}

func isPVC(obj client.Object) bool { _, is := obj.(*corev1.PersistentVolumeClaim); return is }

func isPodOrPVC(obj client.Object) bool { _, isPod := obj.(*corev1.Pod); return isPod || isPVC(obj) }

// isAlias tells whether an object is the alias VolumeSnapshot or its content. Both are named after the DataUpload.
func isAlias(obj client.Object) bool {
	switch obj.(type) {
	case *snapshotv1.VolumeSnapshot, *snapshotv1.VolumeSnapshotContent:
		return strings.HasPrefix(obj.GetName(), namePrefix)
	default:
		return false
	}
}

// deletesNothing claims to have deleted.
func deletesNothing(what func(client.Object) bool) func(client.Client) client.Client {
	return func(c client.Client) client.Client { return &altered{Client: c, delete: what} }
}

// skips leaves a step of clean-up out: what it should have deleted is there, but nobody looks.
func skips(what func(client.Object) bool) func(client.Client) client.Client {
	return func(c client.Client) client.Client {
		skipped := false
		return &altered{
			Client: c,
			delete: func(obj client.Object) bool { skipped = skipped || what(obj); return what(obj) },
			get: func(obj client.Object) error {
				if skipped && what(obj) {
					return apierrors.NewNotFound(schema.GroupResource{}, obj.GetName())
				}
				return nil
			},
		}
	}
}

// tellsVeleroNothing claims to have made the ConfigMap that names a snapshot to Velero.
func tellsVeleroNothing(c client.Client) client.Client {
	return &altered{Client: c, create: func(obj client.Object) bool { _, is := obj.(*corev1.ConfigMap); return is }}
}

// swallowsConflicts takes a write that somebody else prevented for done.
func swallowsConflicts(c client.Client) client.Client {
	return &altered{Client: c, patch: func(ctx context.Context, obj client.Object, patch client.Patch) error {
		if err := c.Patch(ctx, obj, patch); !apierrors.IsConflict(err) {
			return err
		}
		return nil
	}}
}

// neverGivesUpSource lets the source own the storage snapshot besides the alias.
func neverGivesUpSource(c client.Client) client.Client {
	return &altered{Client: c, patch: func(ctx context.Context, obj client.Object, patch client.Patch) error {
		content, isContent := obj.(*snapshotv1.VolumeSnapshotContent)
		if isContent && content.Spec.DeletionPolicy == snapshotv1.VolumeSnapshotContentRetain {
			return nil
		}
		return c.Patch(ctx, obj, patch)
	}}
}

// mixesSnapshotsUp completes with another snapshot than the mover has made.
func mixesSnapshotsUp(c client.Client) client.Client {
	return &altered{Client: c, patch: func(ctx context.Context, obj client.Object, patch client.Patch) error {
		if du, isUpload := obj.(*v2alpha1.DataUpload); isUpload && du.Status.Phase == completed && du.Status.SnapshotID != "" {
			du.Status.SnapshotID = "0123456789abcdef0123456789abcdef"
		}
		return c.Patch(ctx, obj, patch)
	}}
}

// skipsPatches leaves some patches of PersistentVolumes out, and claims that they came about.
func skipsPatches(skip func(*corev1.PersistentVolume) bool) func(client.Client) client.Client {
	return func(c client.Client) client.Client {
		return &altered{Client: c, patch: func(ctx context.Context, obj client.Object, patch client.Patch) error {
			if pv, isVolume := obj.(*corev1.PersistentVolume); isVolume && skip(pv) {
				return nil
			}
			return c.Patch(ctx, obj, patch)
		}}
	}
}

func isRetaining(pv *corev1.PersistentVolume) bool {
	return expose.IsRetained(pv) && pv.Spec.ClaimRef.Namespace == cluster.Velero
}

func isGivingBack(pv *corev1.PersistentVolume) bool { return pv.Labels[expose.OwnerUIDLabel] == "" }

// takesForBound takes a target PVC for bound as soon as it names a volume.
func takesForBound(c client.Client) client.Client {
	return &altered{Client: c, patch: func(ctx context.Context, obj client.Object, patch client.Patch) error {
		err := c.Patch(ctx, obj, patch)
		if pvc, isPVC := obj.(*corev1.PersistentVolumeClaim); isPVC {
			pvc.Status.Phase = corev1.ClaimBound
		}
		return err
	}}
}

// takesForEnded takes every mover that is lost for one that has ended.
func takesForEnded(c client.Client) client.Client {
	return &altered{Client: c, patch: func(ctx context.Context, obj client.Object, patch client.Patch) error {
		if lost := attempts.LostBy(obj); len(lost) > 0 {
			obj.GetAnnotations()[attempts.Annotation] = ""
			for _, l := range lost {
				l.Ended = true
				attempts.Record(obj, l)
			}
		}
		return c.Patch(ctx, obj, patch)
	}}
}

// lastWrite is the last call of a run that changes the DataUpload.
func lastWrite(v *verdict) call {
	for _, c := range slices.Backward(v.controller) {
		if strings.HasPrefix(c.kind, http.MethodPatch) && strings.Contains(c.kind, "/datauploads/") {
			return c
		}
	}
	return call{}
}

var nothing = BeEmpty()

func about(words string) gomegatypes.GomegaMatcher { return ContainElement(ContainSubstring(words)) }

// The suite is worth something only if it finds what it is made to find.
var _ = Describe("a bug put in on purpose turns the verdict red:", Label("faults"), func() {
	good := scenario{name: "success", want: completed}

	DescribeTable("on a good day", func(ctx context.Context, bug func(client.Client) client.Client, wrong, leaked, lost gomegatypes.GomegaMatcher) {
		v := play(ctx, good, conditions{alter: bug})
		Expect(v.wrong).To(wrong, "not ended right")
		Expect(v.leaked).To(leaked, "leaked")
		Expect(v.lost).To(lost, "lost")
	},
		Entry("the backupPVC is never deleted", deletesNothing(isPVC),
			about("comes to no end"), And(about("PersistentVolumeClaim"), about("finalizer")), nothing),
		Entry("clean-up skips the alias", skips(isAlias),
			nothing, And(about("VolumeSnapshot velero/"), about("VolumeSnapshotContent "+namePrefix), about("storage snapshot handle-")), nothing),
		Entry("the source goes on owning the storage snapshot", neverGivesUpSource,
			nothing, nothing, about("storage snapshot was deleted in phase Accepted")),
		Entry("the wrong snapshot is written down", mixesSnapshotsUp,
			nothing, about("1 snapshots in the repository"), about("cannot be restored")),
	)

	DescribeTable("in the hand-over of a restored volume",
		func(ctx context.Context, bug conditions, wrong, leaked, lost gomegatypes.GomegaMatcher) {
			v := play(ctx, scenario{name: "restore: success", restores: true, want: completed}, bug)
			Expect(v.wrong).To(wrong, "not ended right")
			Expect(v.leaked).To(leaked, "leaked")
			Expect(v.lost).To(lost, "lost")
		},
		Entry("nobody keeps the volume before the restorePVC goes", conditions{alter: skipsPatches(isRetaining)},
			about("Failed instead of Completed"), nothing, about("the volume was deleted in phase InProgress")),
		Entry("restore pod and restorePVC stay", conditions{alter: skips(isPodOrPVC)},
			about("it comes to no end"), And(about("Pod velero/"), about("PersistentVolumeClaim velero/")), nothing),
		Entry("it is done before the target PVC is bound", conditions{alter: takesForBound},
			about("Completed before the target PVC is bound"), nothing, nothing),
		Entry("the volume is not given back", conditions{alter: skipsPatches(isGivingBack)},
			about("reclaim policy is Retain instead of Delete"), about("PersistentVolume pvc-"), nothing),
	)

	DescribeTable("about a mover that is cut off", func(ctx context.Context, bug conditions, ignoresLease bool) {
		sc := partitions()[0]
		sc.restores = true
		good, change := play(ctx, sc, conditions{}), sc.change
		Expect(good.clean()).To(BeTrue(), good.String())
		sc.change = func(r *run) { change(r); r.ignoresLease = ignoresLease }
		Expect(play(ctx, sc, bug).lost).To(about("ledger of the restored volume is not as in the snapshot"))
	},
		Entry("it does not end itself", conditions{}, true),
		Entry("nobody waits until it has", conditions{alter: takesForEnded}, false),
	)

	It("a snapshot that nobody knows is not left to Velero", func(ctx context.Context) {
		v := play(ctx, scenario{
			want: canceled, losses: 1, change: loseResults, acts: []act{{when: betweenAttempts, do: cancel}},
		}, conditions{alter: tellsVeleroNothing})
		Expect(v.wrong).To(nothing)
		Expect(v.leaked).To(about("1 snapshots in the repository"))
	})

	It("a conflict is swallowed", func(ctx context.Context) {
		reference := play(ctx, good, conditions{})
		Expect(reference.clean()).To(BeTrue(), reference.String())
		conflict := conditions{controller: lastWrite(reference), fault: fault{code: http.StatusConflict}}
		v := play(ctx, good, conflict)
		Expect(v.injected).To(BeTrue())
		Expect(v.clean()).To(BeTrue(), v.String())

		conflict.alter = swallowsConflicts
		v = play(ctx, good, conflict)
		Expect(v.wrong).To(about("nobody looks at it any more"))
		Expect(v.leaked).To(about("finalizer"))
	})
})
