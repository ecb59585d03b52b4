package dataupload

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
	"github.com/node-agent/node-agent/pkg/expose"
)

// templateMissing is the code of waiting for the DaemonSet that backup pods are modelled on.
const templateMissing = "AgentDaemonSetMissing"

// ensureBackupPod makes the pod that reads the backupPVC.
func (r *Reconciler) ensureBackupPod(ctx context.Context, s *scope) (outcome, error) {
	if s.pod == nil {
		pod, err := r.backupPod(ctx, s)
		if err != nil {
			return outcome{}, err
		}
		if s.pod, err = ensure(ctx, r, s, "backup pod", pod); err != nil {
			return outcome{}, err
		}
	}
	if isDeleting(s.pod) {
		return outcome{}, waiting(beingDeleted, "backup pod %s/%s is being deleted", s.pod.Namespace, s.pod.Name)
	}
	return outcome{}, nil
}

// backupPod gathers what the backup pod is built from.
func (r *Reconciler) backupPod(ctx context.Context, s *scope) (*corev1.Pod, error) {
	volume, err := r.volumeOf(ctx, s)
	if err != nil {
		return nil, err
	}
	if volume.AttachedTo, err = r.attachedTo(ctx, s); err != nil {
		return nil, err
	}
	template, err := r.moverTemplate(ctx, s.du.Spec.BackupStorageLocation)
	if err != nil {
		return nil, err
	}
	return expose.BackupPod(s.du, s.config, volume, template), nil
}

// moverTemplate is what backup pods have in common: what they take over from the agent, with an account and Secrets of their own.
func (r *Reconciler) moverTemplate(ctx context.Context, locationName string) (expose.AgentTemplate, error) {
	template, err := r.agentTemplate(ctx)
	if err != nil {
		return template, err
	}
	location := &velerov1.BackupStorageLocation{}
	if err := r.Client.Get(ctx, client.ObjectKey{Namespace: r.Namespace, Name: locationName}, location); err != nil {
		return template, fmt.Errorf("reading backup storage location %s: %w", locationName, err)
	}
	account := &corev1.ServiceAccount{}
	err = r.Live.Get(ctx, client.ObjectKey{Namespace: r.Namespace, Name: expose.MoverServiceAccount}, account)
	switch {
	case err == nil:
		template.ServiceAccountName = account.Name
	case !apierrors.IsNotFound(err):
		return template, fmt.Errorf("reading service account %s: %w", expose.MoverServiceAccount, err)
	}
	return template.WithSecretsOf(location), nil
}

// agentTemplate reads what a backup pod takes over from the agent's DaemonSet.
func (r *Reconciler) agentTemplate(ctx context.Context) (expose.AgentTemplate, error) {
	daemonSet := &appsv1.DaemonSet{}
	key := client.ObjectKey{Namespace: r.Namespace, Name: expose.AgentDaemonSet}
	if err := r.Live.Get(ctx, key, daemonSet); err != nil {
		if apierrors.IsNotFound(err) {
			return expose.AgentTemplate{}, waiting(templateMissing, "daemonset %s not found: backup pods are modelled on it", key)
		}
		return expose.AgentTemplate{}, fmt.Errorf("reading daemonset %s: %w", key, err)
	}
	template, err := expose.TemplateOf(daemonSet)
	if err != nil {
		return template, waiting(templateMissing, "%v", err)
	}
	return template, nil
}
