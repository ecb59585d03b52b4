package check

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

func hasScopes(quota *corev1.ResourceQuota) bool {
	return len(quota.Spec.Scopes) > 0 || quota.Spec.ScopeSelector != nil
}

// inScope tells whether a quota counts backup pods.
func inScope(quota *corev1.ResourceQuota, priorityClass string, pod *mover) bool {
	requirements := []corev1.ScopedResourceSelectorRequirement{}
	for _, scope := range quota.Spec.Scopes {
		exists := corev1.ScopedResourceSelectorRequirement{ScopeName: scope, Operator: corev1.ScopeSelectorOpExists}
		requirements = append(requirements, exists)
	}
	if selector := quota.Spec.ScopeSelector; selector != nil {
		requirements = append(requirements, selector.MatchExpressions...)
	}
	return !slices.ContainsFunc(requirements, func(r corev1.ScopedResourceSelectorRequirement) bool {
		return !hasScope(r, priorityClass, len(pod.requests)+len(pod.limits) == 0)
	})
}

func hasScope(r corev1.ScopedResourceSelectorRequirement, priorityClass string, bestEffort bool) bool {
	switch r.ScopeName {
	case corev1.ResourceQuotaScopeBestEffort:
		return bestEffort
	case corev1.ResourceQuotaScopeNotBestEffort:
		return !bestEffort
	case corev1.ResourceQuotaScopeNotTerminating:
		return true
	case corev1.ResourceQuotaScopePriorityClass:
		switch r.Operator {
		case corev1.ScopeSelectorOpIn:
			return slices.Contains(r.Values, priorityClass)
		case corev1.ScopeSelectorOpNotIn:
			return !slices.Contains(r.Values, priorityClass)
		case corev1.ScopeSelectorOpDoesNotExist:
			return priorityClass == ""
		default:
			return priorityClass != ""
		}
	default:
		return false
	}
}
