package faults

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/controller/engine"
	"github.com/node-agent/node-agent/pkg/mover"
	"github.com/node-agent/node-agent/pkg/repository"
)

// movement is what differs between runs of DataUploads and of DataDownloads.
type movement interface {
	restOfCluster

	// object is the DataUpload or DataDownload as Velero makes it.
	object() v2alpha1.Transfer
	// prepare makes what is there before the object.
	prepare(ctx context.Context)
	// reconciler is the one of the kind.
	reconciler(base engine.Engine) reconcile.Reconciler
	// observe adds to a moment what only this kind has.
	observe(ctx context.Context, m *moment)
	// step lets those of the cluster's other controllers take a step that only this kind needs.
	step(ctx context.Context)
	// move runs the mover to its end. It opens the repository with what access makes of its access.
	move(ctx context.Context, options mover.Options, pod *corev1.Pod, access func(repository.Access) repository.Access) error
	// watch takes note of what must not happen on the way.
	watch(ctx context.Context, m moment, v *verdict)
	// owns tells whether an object was made for this one, or is called as if it were.
	owns(obj client.Object) bool
	// judge looks at what has become of the data.
	judge(ctx context.Context, r *run, m moment)
}

// restOfCluster is what the rest of the cluster does, see package cluster.
type restOfCluster interface {
	Key() client.ObjectKey
	Cancel(ctx context.Context)
	Provision(ctx context.Context) bool
	Pod(ctx context.Context) *corev1.Pod
	RunPod(ctx context.Context, node string) bool
	PodStatus(ctx context.Context, change func(*corev1.PodStatus)) bool
	EndPod(ctx context.Context, code int32, reason, message string) bool
	Collect(ctx context.Context) bool
	Forget(ctx context.Context)
}
