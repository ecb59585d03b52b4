package config

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Requests returns the requests that are set.
func (r *PodResources) Requests() corev1.ResourceList {
	return resourceList(r.CPURequest, r.MemoryRequest, r.EphemeralStorageRequest)
}

// Limits returns the limits that are set.
func (r *PodResources) Limits() corev1.ResourceList {
	return resourceList(r.CPULimit, r.MemoryLimit, r.EphemeralStorageLimit)
}

// resourceList leaves out zeros, which stand for none. It is nil if nothing is set.
func resourceList(cpu, memory, ephemeralStorage resource.Quantity) corev1.ResourceList {
	list := corev1.ResourceList{
		corev1.ResourceCPU: cpu, corev1.ResourceMemory: memory, corev1.ResourceEphemeralStorage: ephemeralStorage,
	}
	maps.DeleteFunc(list, func(_ corev1.ResourceName, quantity resource.Quantity) bool { return quantity.IsZero() })
	if len(list) == 0 {
		return nil
	}
	return list
}

// quantities writes a list as in "cpu=500m memory=1Gi".
func quantities(list corev1.ResourceList) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(list)) {
		quantity := list[name]
		parts = append(parts, string(name)+"="+quantity.String())
	}
	return strings.Join(parts, " ")
}

// String lists what is set, as in "requests cpu=500m memory=1Gi, limits memory=4Gi". Empty: nothing is.
func (r *PodResources) String() string {
	return list(named("requests", quantities(r.Requests())), named("limits", quantities(r.Limits())))
}
