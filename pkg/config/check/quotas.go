package check

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/node-agent/node-agent/pkg/config"
)

// checkQuotas holds backup pods and backupPVCs against the quotas of Velero's namespace. As many pods as there are slots
// may run at a time, each with a PVC.
func (c *checker) checkQuotas() {
	if !c.cluster.has(quotas) {
		return
	}
	movers := int64(c.slots())
	pod := c.podOf()
	for i := range c.cluster.Quotas {
		quota := &c.cluster.Quotas[i]
		for _, name := range slices.Sorted(maps.Keys(quota.Spec.Hard)) {
			q := quotaItem{name: quota.Name, resource: name, hard: quota.Spec.Hard[name], used: quota.Status.Used[name]}
			class, ofClass := strings.CutSuffix(string(name), ".storageclass.storage.k8s.io/persistentvolumeclaims")
			switch {
			case ofClass:
				if path := c.pathOfClass(class); path != "" {
					c.checkCount(q, path, "backupPVCs of class "+class, 1)
				}
			case isCount(name, corev1.ResourcePersistentVolumeClaims):
				c.checkCount(q, "", "backupPVCs", movers)
			case !inScope(quota, c.cfg.PriorityClassName, pod):
			case isCount(name, corev1.ResourcePods):
				c.checkCount(q, "", "backup pods", movers)
			default:
				c.checkCompute(q, pod, movers)
			}
		}
	}
}

// quotaItem is one resource of a quota.
type quotaItem struct {
	name       string
	resource   corev1.ResourceName
	hard, used resource.Quantity
}

func isCount(name, of corev1.ResourceName) bool {
	return name == of || name == "count/"+of
}

func (c *checker) checkCount(q quotaItem, path, what string, wanted int64) {
	c.tellRoom(q, path, what, q.hard.Value()-q.used.Value(), wanted, q.hard.Value() < 1)
}

// tellRoom tells if nothing of a kind ever fits, or now not as many as may be needed at a time.
func (c *checker) tellRoom(q quotaItem, path, what string, room, wanted int64, never bool) {
	found := fmt.Sprintf("%s of %s used", q.used.String(), q.hard.String())
	problem := config.Problem{Path: path, Found: found}
	switch {
	case never:
		problem.Message = fmt.Sprintf("quota %s (%s) leaves no room for %s", q.name, q.resource, what)
		c.add(Error, problem)
	case room < wanted:
		problem.Message = fmt.Sprintf("quota %s (%s) has room for %d %s now, %d may be needed at a time",
			q.name, q.resource, max(room, 0), what, wanted)
		c.add(Warning, problem)
	}
}

// computeSettings tells which setting of podResources a resource of a quota is about.
var computeSettings = map[corev1.ResourceName]struct {
	resource corev1.ResourceName
	limit    bool
	setting  string
}{
	corev1.ResourceCPU:                      {corev1.ResourceCPU, false, "cpuRequest"},
	corev1.ResourceRequestsCPU:              {corev1.ResourceCPU, false, "cpuRequest"},
	corev1.ResourceLimitsCPU:                {corev1.ResourceCPU, true, "cpuLimit"},
	corev1.ResourceMemory:                   {corev1.ResourceMemory, false, "memoryRequest"},
	corev1.ResourceRequestsMemory:           {corev1.ResourceMemory, false, "memoryRequest"},
	corev1.ResourceLimitsMemory:             {corev1.ResourceMemory, true, "memoryLimit"},
	corev1.ResourceRequestsEphemeralStorage: {corev1.ResourceEphemeralStorage, false, "ephemeralStorageRequest"},
	corev1.ResourceEphemeralStorage:         {corev1.ResourceEphemeralStorage, false, "ephemeralStorageRequest"},
	corev1.ResourceLimitsEphemeralStorage:   {corev1.ResourceEphemeralStorage, true, "ephemeralStorageLimit"},
}

// checkCompute checks CPU, memory and ephemeral storage. A pod that does not say how much CPU or memory it takes is refused
// where a quota is about it.
func (c *checker) checkCompute(q quotaItem, pod corev1.ResourceRequirements, movers int64) {
	about, known := computeSettings[q.resource]
	if !known {
		return
	}
	list := pod.Requests
	if about.limit {
		list = pod.Limits
	}
	path := config.Path("podResources", about.setting)
	amount, set := list[about.resource]
	switch {
	case set && !amount.IsZero():
		room := (q.hard.AsApproximateFloat64() - q.used.AsApproximateFloat64()) / amount.AsApproximateFloat64()
		c.tellRoom(q, path, "backup pods with "+about.setting+" "+amount.String(), int64(room), movers, amount.Cmp(q.hard) > 0)
	case !set && about.resource != corev1.ResourceEphemeralStorage:
		c.add(Error, config.Problem{
			Path:    path,
			Message: fmt.Sprintf("quota %s (%s) refuses backup pods without a %s", q.name, q.resource, about.setting),
			Found:   "none", Suggestion: "set " + path + ", or a default in a LimitRange",
		})
	}
}

// podOf is what a backup pod asks for, after the API server has filled in the defaults of the LimitRanges.
func (c *checker) podOf() corev1.ResourceRequirements {
	pod := corev1.ResourceRequirements{Requests: corev1.ResourceList{}, Limits: corev1.ResourceList{}}
	if r := c.cfg.PodResources; r != nil {
		maps.Copy(pod.Limits, r.Limits())
		// A limit without a request is the request too.
		maps.Copy(pod.Requests, r.Limits())
		maps.Copy(pod.Requests, r.Requests())
	}
	for i := range c.cluster.LimitRanges {
		for _, item := range c.cluster.LimitRanges[i].Spec.Limits {
			if item.Type == corev1.LimitTypeContainer {
				fill(pod.Limits, item.Default)
				fill(pod.Requests, item.DefaultRequest)
			}
		}
	}
	return pod
}

func fill(list, defaults corev1.ResourceList) {
	for name, quantity := range defaults {
		if _, set := list[name]; !set {
			list[name] = quantity
		}
	}
}

// slots is how many volumes may move at a time in the whole cluster.
func (c *checker) slots() int {
	sum := 0
	for i := range c.cluster.Nodes {
		sum += c.cfg.Concurrency(c.cluster.Nodes[i].Labels)
	}
	return max(sum, 1)
}

// pathOfClass is the setting that leads to backupPVCs of a class, empty if none does.
func (c *checker) pathOfClass(class string) string {
	for _, source := range slices.Sorted(maps.Keys(c.cfg.BackupPVC)) {
		section := c.cfg.BackupPVC[source]
		switch {
		case section.ClassFor(source) != class:
		case section.StorageClass != "":
			return config.Path("backupPVC", source, "storageClass")
		default:
			return config.Path("backupPVC", source)
		}
	}
	return ""
}
