package expose

import (
	"cmp"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
)

// Taints that say what state a node is in, not what it is for: no volume makes a pod tolerate them. An agent does, to be on every
// node. A pod that moves data would be put on a node that is about to go, and never be evicted from one that has gone.
var (
	stateTaints = []string{
		"ToBeDeletedByClusterAutoscaler", "DeletionCandidateOfClusterAutoscaler",
		"karpenter.sh/disrupted", "karpenter.sh/disruption", "karpenter.sh/disrupting", "karpenter.sh/unregistered",
		"cloud.google.com/impending-node-termination",
	}
	stateTaintPrefixes = []string{
		"node.kubernetes.io/", // not-ready, unreachable, unschedulable, out-of-service, and those of pressure
		"node.cloudprovider.kubernetes.io/", "node.cluster.x-k8s.io/",
		"startup-taint.cluster-autoscaler.kubernetes.io/", "status-taint.cluster-autoscaler.kubernetes.io/",
		"ignore-taint.cluster-autoscaler.kubernetes.io/", "aws-node-termination-handler/",
	}
	// stateTaintSuffix is that of network and CSI drivers that have not started on the node yet.
	stateTaintSuffix = "/agent-not-ready"
)

func isStateTaint(key string) bool {
	return slices.Contains(stateTaints, key) || strings.HasSuffix(key, stateTaintSuffix) ||
		slices.ContainsFunc(stateTaintPrefixes, func(prefix string) bool { return strings.HasPrefix(key, prefix) })
}

// ToleratesAny tells whether the agent tolerates taints without naming them.
func ToleratesAny(daemonSet *appsv1.DaemonSet) bool {
	return slices.ContainsFunc(daemonSet.Spec.Template.Spec.Tolerations, isNameless)
}

func isNameless(toleration corev1.Toleration) bool { return toleration.Key == "" }

// moverTolerations are those of the agent's that let a pod run where its volume is. One that names no taint stands for those in
// taints, which the nodes have.
func moverTolerations(agent []corev1.Toleration, taints []corev1.Taint) []corev1.Toleration {
	var kept []corev1.Toleration
	add := func(toleration corev1.Toleration) {
		if !isStateTaint(toleration.Key) {
			kept = withToleration(kept, toleration)
		}
	}
	taints = slices.SortedFunc(slices.Values(taints), func(a, b corev1.Taint) int {
		return cmp.Or(strings.Compare(a.Key, b.Key), strings.Compare(string(a.Effect), string(b.Effect)))
	})
	for _, toleration := range agent {
		if !isNameless(toleration) {
			add(toleration)
			continue
		}
		for _, taint := range taints {
			if toleration.Effect == "" || toleration.Effect == taint.Effect {
				add(corev1.Toleration{
					Key: taint.Key, Operator: corev1.TolerationOpExists, Effect: taint.Effect,
					TolerationSeconds: toleration.TolerationSeconds,
				})
			}
		}
	}
	return kept
}

// withToleration adds a toleration that is not there yet.
func withToleration(all []corev1.Toleration, toleration corev1.Toleration) []corev1.Toleration {
	isThere := func(other corev1.Toleration) bool { return equality.Semantic.DeepEqual(other, toleration) }
	if slices.ContainsFunc(all, isThere) {
		return all
	}
	return append(all, toleration)
}
