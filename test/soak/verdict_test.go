package soak

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/sirupsen/logrus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/attempts"
	"github.com/node-agent/node-agent/pkg/location"
	"github.com/node-agent/node-agent/pkg/mover/result"
	"github.com/node-agent/node-agent/pkg/repository"
	"github.com/node-agent/node-agent/pkg/repository/restore"
	"github.com/node-agent/node-agent/test/demo/tree"
	"github.com/node-agent/node-agent/test/installation"
)

// suffered is what was done to an upload on purpose.
type suffered struct {
	canceled, deleted bool
	// pods that were killed, deleted or evicted.
	pods []types.UID
}

// complaints says what is wrong with how an upload ended, given what was done to it. None means that it ended right.
func complaints(r record, done suffered) []string {
	var wrong []string
	complain := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	if !r.settled() {
		complain("not settled: phase %q, %q", r.phase(), r.message())
		return wrong
	}
	if r.gone != done.deleted {
		complain("gone: %t, deleted: %t", r.gone, done.deleted)
	}
	lost := attempts.LostBy(r.du)
	switch phase := r.phase(); {
	case phase == v2alpha1.PhaseCompleted && r.du.Status.SnapshotID == "":
		complain("Completed without a snapshot")
	case phase == v2alpha1.PhaseCompleted:
	case r.message() == "":
		complain("%s without a message", phase)
	case phase == v2alpha1.PhaseCanceled && (done.canceled || done.deleted):
	case phase == v2alpha1.PhaseFailed && len(lost) >= maxAttempts:
	case r.gone: // its end came with its last write, which nobody need have seen
	default:
		complain("%s, which nothing explains: %s", phase, r.message())
	}
	return append(wrong, attemptComplaints(r, lost, done)...)
}

// attemptComplaints says which attempts were given up or begun without need.
func attemptComplaints(r record, lost []attempts.Lost, done suffered) []string {
	var wrong []string
	for i, attempt := range lost {
		pod := r.pods[attempt.Pod]
		switch {
		case slices.Contains(done.pods, attempt.Pod), attempt.Pod == "" && len(done.pods) > 0:
		case pod != nil && exitCode(pod) == result.ExitRetryable:
		default:
			wrong = append(wrong, fmt.Sprintf("attempt %d was given up although nothing was done to its pod %s: %s",
				i+1, attempt.Pod, attempt.Reason))
		}
	}
	for _, pod := range r.order[:max(0, len(r.order)-1)] {
		// One that was taken away before it was Prepared is replaced, and no attempt is lost.
		isLost := slices.ContainsFunc(lost, func(l attempts.Lost) bool { return l.Pod == pod })
		if !isLost && !slices.Contains(done.pods, pod) {
			wrong = append(wrong, fmt.Sprintf("pod %s was followed by another one without need", pod))
		}
	}
	for pod, processes := range r.processes {
		if len(processes) > 1 {
			wrong = append(wrong, fmt.Sprintf("pod %s ran %d processes", pod, len(processes)))
		}
	}
	if accepted := len(r.accepted); accepted > len(lost)+1 {
		wrong = append(wrong, fmt.Sprintf("accepted %d times with %d lost attempts", accepted, len(lost)))
	}
	return wrong
}

// exitCode of a pod's only container, -1 if it has not ended.
func exitCode(pod *corev1.Pod) int32 {
	if len(pod.Status.ContainerStatuses) == 0 || pod.Status.ContainerStatuses[0].State.Terminated == nil {
		return -1
	}
	return pod.Status.ContainerStatuses[0].State.Terminated.ExitCode
}

func (r record) message() string {
	if r.du == nil {
		return ""
	}
	return r.du.Status.Message
}

// restorer restores snapshots from the repositories, one per namespace of workloads.
type restorer struct {
	opened map[string]*repository.Repository
}

// differences restores what an upload has moved and compares it, byte for byte, with its source.
func (r *restorer) differences(ctx context.Context, u *upload, snapshotID string) ([]string, error) {
	opened, err := r.open(ctx, u.source.claim.Namespace)
	if err != nil {
		return nil, err
	}
	target := filepath.Join(dir, "restored", u.name)
	if err := os.MkdirAll(target, 0o700); err != nil {
		return nil, fmt.Errorf("make a volume to restore into: %w", err)
	}
	if _, err := restore.Run(ctx, opened, restore.Request{SnapshotID: snapshotID, Path: target}); err != nil {
		return nil, err
	}
	_, differences, err := tree.Compare(u.source.dir, target)
	if len(differences) > 0 || err != nil {
		return differences, err
	}
	return nil, os.RemoveAll(target)
}

func (r *restorer) open(ctx context.Context, namespace string) (*repository.Repository, error) {
	if opened := r.opened[namespace]; opened != nil {
		return opened, nil
	}
	log := logrus.New()
	log.SetLevel(logrus.ErrorLevel)
	access, err := location.Resolve(ctx, cluster, installation.VeleroNamespace, installation.LocationName, namespace,
		filepath.Join(dir, "scratch"), log)
	if err != nil {
		return nil, err
	}
	opened, err := repository.Open(ctx, access)
	if err != nil {
		return nil, err
	}
	if r.opened == nil {
		r.opened = map[string]*repository.Repository{}
	}
	r.opened[namespace] = opened
	return opened, nil
}

func (r *restorer) close(ctx context.Context) error {
	var errs []error
	for _, opened := range r.opened {
		errs = append(errs, opened.Close(ctx))
	}
	return errors.Join(errs...)
}

// leftovers names what is left in the cluster and on the storage, finalizers of ours, and storage snapshots that were not
// deleted exactly once.
func leftovers(ctx context.Context, uploads []*upload) ([]string, error) {
	var claims []*corev1.PersistentVolumeClaim
	for _, s := range sources {
		claims = append(claims, s.claim)
	}
	left, err := installation.Leftovers(ctx, cluster, node.Storage, claims...)
	for _, u := range uploads {
		if n := node.Storage.Deletions(u.handle); n != 1 {
			left = append(left, fmt.Sprintf("storage snapshot of %s was deleted %d times", cmp.Or(u.name, u.handle), n))
		}
		if r := seen.get(u.name); !r.gone && r.du != nil && len(r.du.Finalizers) > 0 {
			left = append(left, fmt.Sprintf("finalizers %v of %s", r.du.Finalizers, u.name))
		}
	}
	return left, err
}
