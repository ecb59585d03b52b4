// Package events records Events as the components of a cluster do. Those that are older than events.k8s.io still write
// core/v1 Events with counts; a reader has to cope with both kinds.
package events

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	eventsv1 "k8s.io/client-go/tools/events"
	"k8s.io/client-go/tools/record"
)

// Recorders makes event recorders for the components that the local node plays.
type Recorders struct {
	scheme *runtime.Scheme
	core   record.EventBroadcaster
	events eventsv1.EventBroadcaster
}

// New starts recording to the API server, until ctx is done.
func New(ctx context.Context, config *rest.Config, scheme *runtime.Scheme) (*Recorders, error) {
	clientset, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make event client: %w", err)
	}
	r := &Recorders{
		scheme: scheme,
		core:   record.NewBroadcaster(record.WithContext(ctx)),
		events: eventsv1.NewBroadcaster(&eventsv1.EventSinkImpl{Interface: clientset.EventsV1()}),
	}
	r.core.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: clientset.CoreV1().Events("")})
	if err := r.events.StartRecordingToSinkWithContext(ctx); err != nil {
		return nil, fmt.Errorf("record events: %w", err)
	}
	return r, nil
}

// Core is a recorder that writes core/v1 Events, as kube-controller-manager, kubelet and the CSI sidecars do. Only kubelets
// name their host.
func (r *Recorders) Core(component, host string) record.EventRecorder {
	return r.core.NewRecorder(r.scheme, corev1.EventSource{Component: component, Host: host})
}

// Scheduler is a recorder that writes events.k8s.io/v1 Events, as kube-scheduler does.
func (r *Recorders) Scheduler() eventsv1.EventRecorder {
	return r.events.NewRecorder(r.scheme, corev1.DefaultSchedulerName)
}
