package check

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/node-agent/node-agent/pkg/config/problem"
)

// checkQuotas holds backup pods and backupPVCs against the quotas of Velero's namespace. As many pods as there are slots
// may run at a time, each with a PVC.
func (c *checker) checkQuotas() {
	if !c.cluster.has(quotas) {
		return
	}
	movers := int64(c.slots())
	pod := c.mover()
	for i := range c.cluster.Quotas {
		quota := &c.cluster.Quotas[i]
		for _, name := range slices.Sorted(maps.Keys(quota.Spec.Hard)) {
			q := quotaItem{name: quota.Name, resource: name, hard: quota.Spec.Hard[name], used: quota.Status.Used[name]}
			switch {
			case isAboutClaims(name):
				if !hasScopes(quota) {
					c.checkClaims(q, movers)
				}
			case !inScope(quota, c.cfg.PriorityClassName, pod):
			case isCount(name, corev1.ResourcePods):
				c.checkCount(q, "", "backup pods", movers)
			default:
				c.checkCompute(q, pod, movers)
			}
		}
	}
}

// classInfix stands between a storage class and what a quota limits of it.
const classInfix = ".storageclass.storage.k8s.io/"

func isAboutClaims(name corev1.ResourceName) bool {
	return name == corev1.ResourceRequestsStorage || isCount(name, corev1.ResourcePersistentVolumeClaims) ||
		strings.Contains(string(name), classInfix)
}

// checkClaims checks a quota of the number or size of PVCs, be it for one class or for all.
func (c *checker) checkClaims(q quotaItem, movers int64) {
	class, about, ofClass := strings.Cut(string(q.resource), classInfix)
	switch {
	case !ofClass && q.resource == corev1.ResourceRequestsStorage:
		c.checkStorage(q, "", int(movers))
	case !ofClass:
		c.checkCount(q, "", "backupPVCs", movers)
	case !c.usesClass(class):
	case about == string(corev1.ResourceRequestsStorage):
		c.checkStorage(q, class, int(movers))
	default:
		c.checkCount(q, c.pathOfClass(class), "backupPVCs of class "+class, 1)
	}
}

// quotaItem is one resource of a quota.
type quotaItem struct {
	name       string
	resource   corev1.ResourceName
	hard, used resource.Quantity
}

func (q quotaItem) usage() string {
	return fmt.Sprintf("%s of %s used", q.used.String(), q.hard.String())
}

func isCount(name, of corev1.ResourceName) bool {
	return name == of || name == "count/"+of
}

func (c *checker) checkCount(q quotaItem, path, what string, wanted int64) {
	c.tellRoom(q, path, what, q.hard.Value()-q.used.Value(), wanted, q.hard.Value() < 1)
}

// tellRoom tells if nothing of a kind ever fits, or now not as many as may be needed at a time.
func (c *checker) tellRoom(q quotaItem, path, what string, room, wanted int64, never bool) {
	wrong := problem.Problem{Path: path, Found: q.usage()}
	switch {
	case never:
		wrong.Message = fmt.Sprintf("quota %s (%s) leaves no room for %s", q.name, q.resource, what)
		c.add(Error, wrong)
	case room < wanted:
		wrong.Message = fmt.Sprintf("quota %s (%s) has room for %d %s now, %d may be needed at a time",
			q.name, q.resource, max(room, 0), what, wanted)
		c.add(Warning, wrong)
	}
}

// computeResources tells which resource of a pod one of a quota is about.
var computeResources = map[corev1.ResourceName]struct {
	resource corev1.ResourceName
	isLimit  bool
}{
	corev1.ResourceCPU:                      {corev1.ResourceCPU, false},
	corev1.ResourceRequestsCPU:              {corev1.ResourceCPU, false},
	corev1.ResourceLimitsCPU:                {corev1.ResourceCPU, true},
	corev1.ResourceMemory:                   {corev1.ResourceMemory, false},
	corev1.ResourceRequestsMemory:           {corev1.ResourceMemory, false},
	corev1.ResourceLimitsMemory:             {corev1.ResourceMemory, true},
	corev1.ResourceRequestsEphemeralStorage: {corev1.ResourceEphemeralStorage, false},
	corev1.ResourceEphemeralStorage:         {corev1.ResourceEphemeralStorage, false},
	corev1.ResourceLimitsEphemeralStorage:   {corev1.ResourceEphemeralStorage, true},
}

// checkCompute checks CPU, memory and ephemeral storage. A pod that does not say how much CPU or memory it takes is refused
// where a quota is about it.
func (c *checker) checkCompute(q quotaItem, pod *mover, movers int64) {
	about, known := computeResources[q.resource]
	if !known {
		return
	}
	setting := settingFor(about.resource, about.isLimit)
	path := problem.Path("podResources", setting)
	amount, set := pod.list(about.isLimit)[about.resource]
	switch {
	case set && !amount.IsZero():
		room := (q.hard.AsApproximateFloat64() - q.used.AsApproximateFloat64()) / amount.AsApproximateFloat64()
		c.tellRoom(q, path, "backup pods with "+setting+" "+amount.String(), int64(room), movers, amount.Cmp(q.hard) > 0)
	case !set && about.resource != corev1.ResourceEphemeralStorage:
		c.add(Error, problem.Problem{
			Path:    path,
			Message: fmt.Sprintf("quota %s (%s) refuses backup pods without a %s", q.name, q.resource, setting),
			Found:   "none", Suggestion: "set " + path + ", or a default in a LimitRange",
		})
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
			return problem.Path("backupPVC", source, "storageClass")
		default:
			return problem.Path("backupPVC", source)
		}
	}
	return ""
}
