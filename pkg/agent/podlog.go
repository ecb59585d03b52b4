package agent

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"

	"github.com/node-agent/node-agent/pkg/controller/moverpod"
)

// podLogReader reads logs of containers, which the manager's client cannot.
func podLogReader(config *rest.Config) (moverpod.ReadLog, error) {
	pods, err := typedcorev1.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make a client for logs of pods: %w", err)
	}
	return func(ctx context.Context, namespace, pod string, options *corev1.PodLogOptions) ([]byte, error) {
		return pods.Pods(namespace).GetLogs(pod, options).DoRaw(ctx)
	}, nil
}
