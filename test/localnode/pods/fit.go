package pods

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
)

// unfit says why a pod cannot run on the node.
type unfit struct {
	// general holds for any node.
	general string
	// node holds for this node.
	node []string
}

// Error is worded as kube-scheduler words it for a cluster of one node.
func (u unfit) Error() string {
	reasons := u.general
	if reasons == "" {
		counted := make([]string, 0, len(u.node))
		for _, reason := range u.node {
			counted = append(counted, "1 "+reason)
		}
		slices.Sort(counted)
		reasons = strings.Join(counted, ", ")
	}
	return fmt.Sprintf("0/1 nodes are available: %s. preemption: 0/1 nodes are available: "+
		"1 Preemption is not helpful for scheduling.", reasons)
}

// fitsNode compares what a pod and its volumes ask of a node with what the node is.
func fitsNode(pod *corev1.Pod, node *corev1.Node, volumes []*corev1.PersistentVolume) error {
	if node.Spec.Unschedulable {
		return unfit{node: []string{"node(s) were unschedulable"}}
	}
	if !wantsNode(pod, node) {
		return unfit{node: []string{"node(s) didn't match Pod's node affinity/selector"}}
	}
	for _, volume := range volumes {
		if affinity := volume.Spec.NodeAffinity; affinity != nil && !matches(affinity.Required, node) {
			return unfit{node: []string{"node(s) didn't match PersistentVolume's node affinity"}}
		}
	}
	return nil
}

func wantsNode(pod *corev1.Pod, node *corev1.Node) bool {
	if !labels.SelectorFromSet(pod.Spec.NodeSelector).Matches(labels.Set(node.Labels)) {
		return false
	}
	affinity := pod.Spec.Affinity
	if affinity == nil || affinity.NodeAffinity == nil {
		return true
	}
	return matches(affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution, node)
}

// matches tells whether one of a selector's terms holds. A nil selector always does, an empty term never.
func matches(selector *corev1.NodeSelector, node *corev1.Node) bool {
	if selector == nil {
		return true
	}
	return slices.ContainsFunc(selector.NodeSelectorTerms, func(term corev1.NodeSelectorTerm) bool {
		if len(term.MatchExpressions)+len(term.MatchFields) == 0 {
			return false
		}
		fields := labels.Set{"metadata.name": node.Name}
		return all(term.MatchExpressions, node.Labels) && all(term.MatchFields, fields)
	})
}

var operators = map[corev1.NodeSelectorOperator]selection.Operator{
	corev1.NodeSelectorOpIn:           selection.In,
	corev1.NodeSelectorOpNotIn:        selection.NotIn,
	corev1.NodeSelectorOpExists:       selection.Exists,
	corev1.NodeSelectorOpDoesNotExist: selection.DoesNotExist,
	corev1.NodeSelectorOpGt:           selection.GreaterThan,
	corev1.NodeSelectorOpLt:           selection.LessThan,
}

func all(requirements []corev1.NodeSelectorRequirement, values labels.Set) bool {
	return !slices.ContainsFunc(requirements, func(r corev1.NodeSelectorRequirement) bool {
		requirement, err := labels.NewRequirement(r.Key, operators[r.Operator], r.Values)
		return err != nil || !requirement.Matches(values)
	})
}
