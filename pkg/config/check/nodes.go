package check

import (
	"fmt"
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/node-agent/node-agent/pkg/config"
	"github.com/node-agent/node-agent/pkg/config/problem"
)

// checkNodes counts the nodes that each rule is for.
func (c *checker) checkNodes() {
	if !c.cluster.has(nodes) {
		return
	}
	for i, rule := range c.cfg.LoadAffinity {
		c.checkSelector(Error, fmt.Sprintf("loadAffinity[%d].nodeSelector", i), &rule.NodeSelector, "backup pods cannot be scheduled")
	}
	for i, rule := range c.cfg.LoadConcurrency.PerNodeConfig {
		path := fmt.Sprintf("loadConcurrency.perNodeConfig[%d].nodeSelector", i)
		c.checkSelector(Warning, path, &rule.NodeSelector, "the rule is not used")
	}
}

func (c *checker) checkSelector(level Level, path string, selector *metav1.LabelSelector, consequence string) {
	matched := 0
	for i := range c.cluster.Nodes {
		if config.Matches(selector, c.cluster.Nodes[i].Labels) {
			matched++
		}
	}
	if matched == 0 {
		c.add(level, problem.Problem{
			Path: path, Message: fmt.Sprintf("no node of %d matches: %s", len(c.cluster.Nodes), consequence),
			Found: config.Describe(selector), Suggestion: c.missingLabel(selector),
		})
		return
	}
	c.add(Note, problem.Problem{Path: path, Message: fmt.Sprintf("%d of %d nodes match", matched, len(c.cluster.Nodes))})
}

// missingLabel finds a label of the selector that no node has at all, which is most often a typing error.
func (c *checker) missingLabel(selector *metav1.LabelSelector) string {
	known := map[string]bool{}
	for i := range c.cluster.Nodes {
		for key := range c.cluster.Nodes[i].Labels {
			known[key] = true
		}
	}
	needed := slices.Sorted(maps.Keys(selector.MatchLabels))
	for _, requirement := range selector.MatchExpressions {
		switch requirement.Operator {
		case metav1.LabelSelectorOpIn, metav1.LabelSelectorOpExists:
			needed = append(needed, requirement.Key)
		default:
		}
	}
	i := slices.IndexFunc(needed, func(key string) bool { return !known[key] })
	if i < 0 {
		return ""
	}
	return "no node has label " + needed[i]
}
