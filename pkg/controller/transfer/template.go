package transfer

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
	"github.com/node-agent/node-agent/pkg/controller/engine"
	"github.com/node-agent/node-agent/pkg/expose"
)

// templateMissing is the code of waiting for the DaemonSet that pods are modelled on.
const templateMissing = "AgentDaemonSetMissing"

// MoverTemplate is what pods have in common: what they take over from the agent, with an account and Secrets of their own, and
// what the BackupRepository sets.
func (e Steps) MoverTemplate(ctx context.Context, s *engine.Scope) (expose.AgentTemplate, error) {
	template, err := e.agentTemplate(ctx)
	if err != nil {
		return template, err
	}
	location := &velerov1.BackupStorageLocation{}
	name := s.Object.TransferSpec().BackupStorageLocation
	if err := e.Client.Get(ctx, client.ObjectKey{Namespace: e.Namespace, Name: name}, location); err != nil {
		return template, fmt.Errorf("reading backup storage location %s: %w", name, err)
	}
	if template.ServiceAccountName, err = e.moverAccount(ctx, template, location); err != nil {
		return template, err
	}
	// What is wrong with it is said when there is a pod.
	template.CacheLimit, _ = velerov1.CacheLimit(s.RepositoryConfig)
	return template.WithSecretsOf(location), nil
}

// moverAccount chooses the account: that of movers, where there is one that serves the location, else the agent's. What others have
// made is as they want it.
func (e Steps) moverAccount(
	ctx context.Context, template expose.AgentTemplate, location *velerov1.BackupStorageLocation,
) (string, error) {
	account := &corev1.ServiceAccount{}
	err := e.Live.Get(ctx, client.ObjectKey{Namespace: e.Namespace, Name: expose.MoverServiceAccount}, account)
	switch {
	case apierrors.IsNotFound(err):
		return template.ServiceAccountName, nil
	case err != nil:
		return "", fmt.Errorf("reading service account %s: %w", expose.MoverServiceAccount, err)
	case expose.MadeByAgent(account) && template.AccountNeeded(location) != "":
		return template.ServiceAccountName, nil
	}
	return account.Name, nil
}

// agentTemplate reads what a pod takes over from the agent's DaemonSet.
func (e Steps) agentTemplate(ctx context.Context) (expose.AgentTemplate, error) {
	daemonSet := &appsv1.DaemonSet{}
	key := client.ObjectKey{Namespace: e.Namespace, Name: expose.AgentDaemonSet}
	if err := e.Live.Get(ctx, key, daemonSet); err != nil {
		if apierrors.IsNotFound(err) {
			return expose.AgentTemplate{},
				engine.Waitf(templateMissing, "daemonset %s not found: %ss are modelled on it", key, e.Kind.Words.Pod)
		}
		return expose.AgentTemplate{}, fmt.Errorf("reading daemonset %s: %w", key, err)
	}
	var taints []corev1.Taint
	if expose.ToleratesAny(daemonSet) {
		var err error
		if taints, err = e.taints(ctx); err != nil {
			return expose.AgentTemplate{}, err
		}
	}
	template, err := expose.TemplateOf(daemonSet, taints)
	if err != nil {
		return template, engine.Waitf(templateMissing, "%v", err)
	}
	template.Identity = e.Identity
	return template, nil
}

// taints are those of all nodes, from the cache.
func (e Steps) taints(ctx context.Context) ([]corev1.Taint, error) {
	nodes := &corev1.NodeList{}
	if err := e.Client.List(ctx, nodes); err != nil {
		return nil, fmt.Errorf("listing nodes: %w", err)
	}
	var all []corev1.Taint
	for i := range nodes.Items {
		all = append(all, nodes.Items[i].Spec.Taints...)
	}
	return all, nil
}
