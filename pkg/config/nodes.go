package config

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8slabels "k8s.io/apimachinery/pkg/labels"
)

// Concurrency returns how many volumes may be moved at a time on a node with these labels: the smallest number of all
// rules that match, else the global one.
func (c *Config) Concurrency(nodeLabels map[string]string) int {
	if c.LoadConcurrency == nil {
		return defaultConcurrency
	}
	number := 0
	for _, rule := range c.LoadConcurrency.PerNodeConfig {
		if Matches(&rule.NodeSelector, nodeLabels) && (number == 0 || rule.Number < number) {
			number = rule.Number
		}
	}
	if number == 0 {
		return max(c.LoadConcurrency.GlobalConfig, defaultConcurrency)
	}
	return number
}

// Matches tells whether a checked selector matches the labels of a node. An empty one matches every node.
func Matches(selector *metav1.LabelSelector, nodeLabels map[string]string) bool {
	matcher, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && matcher.Matches(k8slabels.Set(nodeLabels))
}

// Describe writes a selector as kubectl does; an empty one is "any".
func Describe(selector *metav1.LabelSelector) string {
	text := metav1.FormatLabelSelector(selector)
	if text == "<none>" {
		return "any"
	}
	return text
}
