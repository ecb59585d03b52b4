package app

import (
	"context"
	"fmt"

	"github.com/spf13/pflag"
	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/expose"
)

// configMapFlag names the ConfigMap with the configuration, as in Velero.
const configMapFlag = "node-agent-configmap"

// ownConfigMap returns the name of the ConfigMap that the agents are given, which their DaemonSet says.
func ownConfigMap(ctx context.Context, reader client.Reader, namespace string) (string, error) {
	daemonSet := &appsv1.DaemonSet{}
	key := client.ObjectKey{Namespace: namespace, Name: expose.AgentDaemonSet}
	if err := reader.Get(ctx, key, daemonSet); err != nil {
		return "", fmt.Errorf("read the agents' daemonset %s, which names their ConfigMap: %w", key, err)
	}
	for _, container := range daemonSet.Spec.Template.Spec.Containers {
		flags := pflag.NewFlagSet("agent", pflag.ContinueOnError)
		flags.ParseErrorsAllowlist.UnknownFlags = true
		name := flags.String(configMapFlag, "", "")
		if err := flags.Parse(append(container.Command, container.Args...)); err == nil && *name != "" {
			return *name, nil
		}
	}
	return "", fmt.Errorf("daemonset %s has no --%s: every default counts", key, configMapFlag)
}
