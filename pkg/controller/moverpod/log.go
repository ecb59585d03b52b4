package moverpod

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
)

// What is kept of the log of a pod that has failed or was lost.
const (
	logLines = 100
	logBytes = 64 << 10
	// logTimeout is how long the pod waits at most to be removed, because of its log.
	logTimeout = 5 * time.Second
)

// Period is how often to look whether the log is there.
const Period = time.Second

// ReadLog reads the end of the log of a container, as limited by options.
type ReadLog func(ctx context.Context, namespace, pod string, options *corev1.PodLogOptions) ([]byte, error)

// Logs copies the logs of pods that have failed into the agent's own, as `velero debug` finds it, before the pods are removed.
// Nobody waits for more than logTimeout, and nothing fails if a log cannot be read. Nil copies nothing.
type Logs struct {
	// Read reads a log.
	Read ReadLog

	mutex sync.Mutex
	// read are the pods whose logs are being read, or were: then the value is true.
	read map[types.UID]bool
	// refused is set when the lack of a right was told.
	refused bool
}

// Keep begins to copy the log of a pod. It returns true when that has come to an end, or there is nothing to copy.
func (l *Logs) Keep(pod *corev1.Pod, log logrus.FieldLogger) bool {
	container := startedMover(pod)
	if l == nil || container == "" {
		return true
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if done, begun := l.read[pod.UID]; begun {
		if done {
			delete(l.read, pod.UID)
		}
		return done
	}
	if l.read == nil {
		l.read = map[types.UID]bool{}
	}
	l.read[pod.UID] = false
	go l.copyLog(pod, container, log.WithField("pod", pod.Name))
	return false
}

func (l *Logs) copyLog(pod *corev1.Pod, container string, log logrus.FieldLogger) {
	ctx, cancel := context.WithTimeout(context.Background(), logTimeout)
	defer cancel()
	text, err := l.Read(ctx, pod.Namespace, pod.Name, &corev1.PodLogOptions{
		Container: container, TailLines: new(int64(logLines)), LimitBytes: new(int64(logBytes)),
	})
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.read[pod.UID] = true
	switch {
	case apierrors.IsForbidden(err):
		if !l.refused {
			l.refused = true
			log.WithError(err).Warn("the logs of pods that fail are not kept: the agent needs get on pods/log")
		}
	case err != nil:
		log.WithError(err).Info("the log of the pod cannot be read")
	default:
		for line := range strings.Lines(strings.ToValidUTF8(string(text), "?")) {
			log.Info("log of the pod: " + strings.TrimRight(line, "\n"))
		}
	}
}

// startedMover is the name of the mover's container, or empty if it never ran or was successful.
func startedMover(pod *corev1.Pod) string {
	for i := range pod.Status.ContainerStatuses {
		name, state := pod.Status.ContainerStatuses[i].Name, pod.Status.ContainerStatuses[i].State
		failed := state.Terminated != nil && state.Terminated.ExitCode != 0
		if isMover(pod, name) && (state.Running != nil || failed) {
			return name
		}
	}
	return ""
}
