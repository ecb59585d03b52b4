package expose

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/attempts"
)

// linkedCloneAnnotation makes vSphere's driver provision a linked clone, which cannot be attached to a node that has the
// source volume attached.
const linkedCloneAnnotation = "csi.vsphere.volume/fast-provisioning"

// NeedsOtherNode tells whether a backupPVC with these annotations cannot be used where the source volume is attached.
func NeedsOtherNode(annotations map[string]string) bool {
	_, linked := annotations[linkedCloneAnnotation]
	return linked
}

// nodeAffinity lets the pod run where the volume can be used and the configuration wants it, never on Windows, and rather
// not where attempts were lost.
func nodeAffinity(volume Volume, selector *metav1.LabelSelector, lost []attempts.Lost) *corev1.Affinity {
	requirements := append(requirementsOf(selector), corev1.NodeSelectorRequirement{
		Key: corev1.LabelOSStable, Operator: corev1.NodeSelectorOpNotIn, Values: []string{string(v2alpha1.NodeOSWindows)},
	})
	terms := []corev1.NodeSelectorTerm{{}}
	if volume.Topology != nil && len(volume.Topology.NodeSelectorTerms) > 0 {
		terms = volume.Topology.DeepCopy().NodeSelectorTerms
	}
	// One of the terms must hold, and all of a term: what is required in any case is part of each.
	for i := range terms {
		terms[i].MatchExpressions = append(terms[i].MatchExpressions, requirements...)
		terms[i].MatchFields = append(terms[i].MatchFields, otherThan(volume.AttachedTo)...)
	}
	affinity := &corev1.NodeAffinity{
		RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: terms},
	}
	// No more than a preference, because the volume may be usable on that node only.
	if elsewhere := otherThan(nodesOf(lost)); len(elsewhere) > 0 {
		affinity.PreferredDuringSchedulingIgnoredDuringExecution = []corev1.PreferredSchedulingTerm{{
			Weight: 100, Preference: corev1.NodeSelectorTerm{MatchFields: elsewhere},
		}}
	}
	return &corev1.Affinity{NodeAffinity: affinity}
}

// requirementsOf says the same as a label selector in the words of node affinity. The operators have the same names.
func requirementsOf(selector *metav1.LabelSelector) []corev1.NodeSelectorRequirement {
	if selector == nil {
		return nil
	}
	var requirements []corev1.NodeSelectorRequirement
	for _, key := range slices.Sorted(maps.Keys(selector.MatchLabels)) {
		requirements = append(requirements, corev1.NodeSelectorRequirement{
			Key: key, Operator: corev1.NodeSelectorOpIn, Values: []string{selector.MatchLabels[key]},
		})
	}
	for _, expression := range selector.MatchExpressions {
		requirements = append(requirements, corev1.NodeSelectorRequirement{
			Key: expression.Key, Operator: corev1.NodeSelectorOperator(expression.Operator), Values: slices.Clone(expression.Values),
		})
	}
	return requirements
}

// nodesOf lists the nodes of lost attempts: what ended one pod there may well end the next.
func nodesOf(lost []attempts.Lost) []string {
	var nodes []string
	for _, l := range lost {
		if l.Node != "" {
			nodes = append(nodes, l.Node)
		}
	}
	return nodes
}

// otherThan excludes nodes by name, one at a time as the API wants it. Their hostname label may differ from the name.
func otherThan(nodes []string) []corev1.NodeSelectorRequirement {
	var requirements []corev1.NodeSelectorRequirement
	for _, node := range nodes {
		requirements = append(requirements, corev1.NodeSelectorRequirement{
			Key: metav1.ObjectNameField, Operator: corev1.NodeSelectorOpNotIn, Values: []string{node},
		})
	}
	return requirements
}
