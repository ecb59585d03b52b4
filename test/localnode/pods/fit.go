package pods

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
)

// unfit says why a pod cannot run anywhere.
type unfit struct {
	// general holds for any node.
	general string
	// obstacles are those of the nodes that were looked at, one each.
	obstacles []string
	// nodes is how many there are.
	nodes int
}

// Error is worded as kube-scheduler words it.
func (u unfit) Error() string {
	reasons := u.general
	if reasons == "" {
		reasons = strings.Join(counted(u.obstacles), ", ")
	}
	return fmt.Sprintf("0/%d nodes are available: %s. preemption: 0/%d nodes are available: "+
		"%d Preemption is not helpful for scheduling.", u.nodes, reasons, u.nodes, u.nodes)
}

// counted puts in front of each word how often it comes.
func counted(words []string) []string {
	times := map[string]int{}
	for _, word := range words {
		times[word]++
	}
	lines := make([]string, 0, len(times))
	for word, n := range times {
		lines = append(lines, fmt.Sprintf("%d %s", n, word))
	}
	slices.Sort(lines)
	return lines
}

// choose picks the node for a pod among those that fit: the one that it prefers most and, of several, the one with the
// fewest pods.
func choose(
	pod *corev1.Pod, nodes []corev1.Node, volumes []*corev1.PersistentVolume, podsOn func(node string) int,
) (string, error) {
	none := unfit{nodes: len(nodes)}
	var best *corev1.Node
	for i := range nodes {
		node := &nodes[i]
		if reason := obstacle(pod, node, volumes); reason != "" {
			none.obstacles = append(none.obstacles, reason)
			continue
		}
		if best == nil || cmp.Or(preference(pod, node)-preference(pod, best), podsOn(best.Name)-podsOn(node.Name)) > 0 {
			best = node
		}
	}
	if best == nil {
		return "", none
	}
	return best.Name, nil
}

// obstacle compares what a pod and its volumes ask of a node with what the node is. It is empty if the pod fits.
func obstacle(pod *corev1.Pod, node *corev1.Node, volumes []*corev1.PersistentVolume) string {
	if node.Spec.Unschedulable {
		return "node(s) were unschedulable"
	}
	if !wantsNode(pod, node) {
		return "node(s) didn't match Pod's node affinity/selector"
	}
	for _, volume := range volumes {
		if affinity := volume.Spec.NodeAffinity; affinity != nil && !matches(affinity.Required, node) {
			return "node(s) didn't match PersistentVolume's node affinity"
		}
	}
	return ""
}

// preference is how much a pod prefers a node.
func preference(pod *corev1.Pod, node *corev1.Node) int {
	if pod.Spec.Affinity == nil || pod.Spec.Affinity.NodeAffinity == nil {
		return 0
	}
	sum := 0
	for _, preferred := range pod.Spec.Affinity.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution {
		if holds(preferred.Preference, node) {
			sum += int(preferred.Weight)
		}
	}
	return sum
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
	return slices.ContainsFunc(selector.NodeSelectorTerms, func(term corev1.NodeSelectorTerm) bool { return holds(term, node) })
}

func holds(term corev1.NodeSelectorTerm, node *corev1.Node) bool {
	if len(term.MatchExpressions)+len(term.MatchFields) == 0 {
		return false
	}
	fields := labels.Set{"metadata.name": node.Name}
	return all(term.MatchExpressions, node.Labels) && all(term.MatchFields, fields)
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
