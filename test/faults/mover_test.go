package faults

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"

	"github.com/node-agent/node-agent/pkg/mover"
	"github.com/node-agent/node-agent/pkg/repository"
	"github.com/node-agent/node-agent/test/cluster"
)

// killedCode is the exit code of a process that met SIGKILL.
const killedCode = 137

// moveData lets the mover run in the pod, from the moment its DataUpload or DataDownload is InProgress to its end.
func (r *run) moveData(ctx context.Context) {
	m := r.moment(ctx)
	if m.phase() != inProgress || m.object.TransferSpec().Cancel || m.pod == nil || !m.pod.DeletionTimestamp.IsZero() ||
		m.pod.Status.Phase != corev1.PodRunning || m.pod.Spec.NodeName != r.node {
		return
	}
	dir, err := os.MkdirTemp(store.dir, "mover-")
	Expect(err).NotTo(HaveOccurred())
	defer os.RemoveAll(dir)
	c, err := mover.NewClient(r.mover.reaching(plane.Config))
	Expect(err).NotTo(HaveOccurred())
	ctx, kill := context.WithCancel(ctx)
	defer kill()
	r.mover.died = kill
	messagePath := filepath.Join(dir, "termination-log")
	err = r.move(ctx, mover.Options{
		Namespace: cluster.Velero, Name: r.name, Attempt: attemptOf(m.pod),
		ResourceTimeout: time.Minute, TerminationMessagePath: messagePath, WorkDir: dir,
		Client: c, Clock: hastyClock{}, Log: r.log,
	}, m.pod, r.access)
	r.endMover(context.WithoutCancel(ctx), err, messagePath)
}

// endMover reports the end of the mover as its kubelet would.
func (r *run) endMover(ctx context.Context, err error, messagePath string) {
	if r.mover.revive() || r.losesResults && err == nil {
		r.EndPod(ctx, killedCode, "Error", "") // no time for last words
		return
	}
	message, readErr := os.ReadFile(messagePath)
	Expect(readErr).NotTo(HaveOccurred())
	if err == nil {
		r.EndPod(ctx, 0, "Completed", string(message))
		return
	}
	code := 1
	if exit, ok := errors.AsType[*mover.ExitError](err); ok {
		code = exit.Code
	}
	r.EndPod(ctx, int32(code), "Error", string(message))
}

// attemptOf is what the mover of a pod is told about the attempt that it belongs to.
func attemptOf(pod *corev1.Pod) int {
	for _, arg := range pod.Spec.Containers[0].Args {
		if value, found := strings.CutPrefix(arg, "--attempt="); found {
			number, err := strconv.Atoi(value)
			Expect(err).NotTo(HaveOccurred())
			return number
		}
	}
	return 1
}

// access is the access to the repository that the mover comes to have.
func (r *run) access(access repository.Access) repository.Access {
	if r.wrongPassword {
		access.Password += "?"
	}
	return access
}

// hastyClock does not let a mover wait for long before it watches again.
type hastyClock struct{ clock.RealClock }

func (hastyClock) After(d time.Duration) <-chan time.Time { return time.After(d / 100) }
