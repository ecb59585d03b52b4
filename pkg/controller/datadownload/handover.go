package datadownload

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/attempts"
	"github.com/node-agent/node-agent/pkg/controller/engine"
	"github.com/node-agent/node-agent/pkg/controller/transfer"
	"github.com/node-agent/node-agent/pkg/expose"
	"github.com/node-agent/node-agent/pkg/notice"
	"github.com/node-agent/node-agent/pkg/waiting"
)

// The restored volume always has exactly one owner. First it goes with the restorePVC. Then it is retained, and ours by its
// mark, while restore pod and restorePVC go. When the target PVC names it, it is the target's: nothing else can be bound to
// that PVC any more, and from there on the hand-over is brought to its end whatever becomes of the DataDownload. In the end the
// volume has the reclaim policy that it was made with, and the mark is gone.

// handingOver is the code of a hand-over that waits.
const handingOver = "HandingOver"

const (
	// A hand-over is looked at again after a fifth of the time that it has taken, within these limits: the target PVC is not
	// watched.
	minHandOverPeriod = time.Second
	maxHandOverPeriod = 30 * time.Second
	// handOverPatience is how long a hand-over may take before it is worth a message.
	handOverPatience = 5 * time.Second
)

// handOver is what a hand-over is about, as the API server shows it.
type handOver struct {
	// pv is the restored volume.
	pv *corev1.PersistentVolume
	// target is the PVC that gets it; nil if it is gone.
	target *corev1.PersistentVolumeClaim
}

// handOver gives the restored volume to the target PVC, and ends the DataDownload when that is done.
func (r *Reconciler) handOver(ctx context.Context, s *scope) error {
	if s.restored == nil {
		return nil
	}
	h, err := r.readHandOver(ctx, s.restored.Volume, s.dd.Spec.TargetVolume)
	if err != nil {
		return err
	}
	if err := h.possible(s); err != nil {
		return err
	}
	if remaining := attempts.FreeFrom(s.dd).Sub(s.Now); remaining > 0 {
		return engine.WaitFor(remaining, s.handingOver(h, "the mover of a lost attempt may still write to it"))
	}
	waitsFor := ""
	if !h.done() {
		if waitsFor, err = r.takeSteps(ctx, s, h, r.retain, r.release, r.nameVolume); err == nil && waitsFor == "" {
			waitsFor, err = r.complete(ctx, s, h)
		}
	}
	switch {
	case err != nil:
		return err
	case waitsFor != "":
		return engine.WaitFor(s.handOverPeriod(), s.handingOver(h, waitsFor))
	}
	s.Notices = s.restored.Notices
	return engine.End(v2alpha1.PhaseCompleted, r.InAttempt(s.Scope, notice.Text(s.Notices)))
}

func (s *scope) handOverPeriod() time.Duration {
	return min(max(s.Now.Sub(s.restored.At.Time)/5, minHandOverPeriod), maxHandOverPeriod)
}

// handingOver tells what a hand-over waits for, if that lasts. Each healthy one waits a moment for pod, PVC and binding.
func (s *scope) handingOver(h *handOver, waitsFor string) waiting.Reason {
	if s.Now.Sub(s.restored.At.Time) < handOverPatience {
		return waiting.Reason{}
	}
	return waiting.Reason{
		Code: handingOver, Expected: true,
		Message: fmt.Sprintf("handing volume %s over to target PVC %s/%s: %s",
			h.pv.Name, s.dd.Spec.TargetVolume.Namespace, s.dd.Spec.TargetVolume.PVC, waitsFor),
	}
}

// complete is the part of a hand-over that comes after the target PVC names the volume. It needs neither restore pod nor
// restorePVC, and is brought to its end also when the DataDownload has ended or is gone.
func (r *Reconciler) complete(ctx context.Context, s *scope, h *handOver) (string, error) {
	return r.takeSteps(ctx, s, h, r.bindVolume, r.awaitBound, r.unmark)
}

// handOverStep does one idempotent part of a hand-over. It returns what has to happen before the next, or nothing.
type handOverStep func(context.Context, *scope, *handOver) (string, error)

func (r *Reconciler) takeSteps(ctx context.Context, s *scope, h *handOver, steps ...handOverStep) (string, error) {
	for _, step := range steps {
		if waitsFor, err := step(ctx, s, h); waitsFor != "" || err != nil {
			return waitsFor, err
		}
	}
	return "", nil
}

// readHandOver reads what a hand-over is about. What a cache shows may be old, and here that would cost data.
func (r *Reconciler) readHandOver(ctx context.Context, volume string, target v2alpha1.TargetVolumeSpec) (*handOver, error) {
	h := &handOver{pv: &corev1.PersistentVolume{}}
	if err := r.Live.Get(ctx, client.ObjectKey{Name: volume}, h.pv); err != nil {
		if !apierrors.IsNotFound(err) {
			return nil, fmt.Errorf("reading restored volume %s: %w", volume, err)
		}
		h.pv = nil
	}
	var err error
	h.target, err = r.target(ctx, target)
	return h, err
}

// possible fails if nobody can bring the hand-over to a good end any more.
func (h *handOver) possible(s *scope) error {
	name := s.dd.Spec.TargetVolume.Namespace + "/" + s.dd.Spec.TargetVolume.PVC
	switch {
	case h.pv == nil || transfer.IsDeleting(h.pv):
		return engine.Failf("restored volume %s is gone before target PVC %s was bound to it", s.restored.Volume, name)
	case h.target == nil:
		return engine.Failf("target PVC %s is gone before the restored volume was handed over to it", name)
	case h.target.Spec.VolumeName != "" && h.target.Spec.VolumeName != h.pv.Name:
		return engine.Failf("target PVC %s was bound to another volume, %s, while its data was restored",
			name, h.target.Spec.VolumeName)
	default:
		return nil
	}
}

// done tells whether the target PVC has the volume, and nothing of the restore is left on that.
func (h *handOver) done() bool {
	_, marked := h.pv.Labels[expose.OwnerUIDLabel]
	return !marked && h.bound()
}

// bound tells whether target PVC and volume are bound to each other.
func (h *handOver) bound() bool {
	return isFor(h.target, h.pv.Name) && expose.BelongsTo(h.pv, h.target) && h.target.Status.Phase == corev1.ClaimBound
}

// patch writes what change does to the restored volume, if that still is as it was seen.
func (r *Reconciler) patch(ctx context.Context, h *handOver, doing string, change func(*corev1.PersistentVolume)) error {
	before := h.pv.DeepCopy()
	change(h.pv)
	if err := r.Client.Patch(ctx, h.pv, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("%s, restored volume %s: %w", doing, h.pv.Name, err)
	}
	return nil
}
