package check

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/node-agent/node-agent/pkg/config/problem"
)

// settingFor returns the setting of podResources for a resource, empty if there is none.
func settingFor(name corev1.ResourceName, isLimit bool) string {
	setting := map[corev1.ResourceName]string{
		corev1.ResourceCPU: "cpu", corev1.ResourceMemory: "memory", corev1.ResourceEphemeralStorage: "ephemeralStorage",
	}[name]
	switch {
	case setting == "":
		return ""
	case isLimit:
		return setting + "Limit"
	default:
		return setting + "Request"
	}
}

// mover is what a backup pod asks for, after the API server has filled in the defaults of the LimitRanges.
type mover struct {
	requests, limits corev1.ResourceList
	// added are the settings of podResources that a LimitRange stands in for.
	added []problem.Problem
}

func (m *mover) list(isLimit bool) corev1.ResourceList {
	if isLimit {
		return m.limits
	}
	return m.requests
}

func (c *checker) mover() *mover {
	m := &mover{requests: corev1.ResourceList{}, limits: corev1.ResourceList{}}
	if r := c.cfg.PodResources; r != nil {
		maps.Copy(m.limits, r.Limits())
		// A limit without a request is the request too.
		maps.Copy(m.requests, r.Limits())
		maps.Copy(m.requests, r.Requests())
	}
	c.eachLimit(corev1.LimitTypeContainer, func(by string, item corev1.LimitRangeItem) {
		m.fill(by, item.Default, true)
		m.fill(by, item.DefaultRequest, false)
	})
	return m
}

func (m *mover) fill(by string, defaults corev1.ResourceList, isLimit bool) {
	list := m.list(isLimit)
	for _, name := range slices.Sorted(maps.Keys(defaults)) {
		if _, set := list[name]; set {
			continue
		}
		quantity := defaults[name]
		list[name] = quantity
		if setting := settingFor(name, isLimit); setting != "" {
			m.added = append(m.added, problem.Problem{
				Path:    problem.Path("podResources", setting),
				Message: fmt.Sprintf("%s gives backup pods a %s of %s", by, setting, quantity.String()),
			})
		}
	}
}

// eachLimit visits what the LimitRanges of Velero's namespace say about one type of object.
func (c *checker) eachLimit(about corev1.LimitType, visit func(by string, item corev1.LimitRangeItem)) {
	for i := range c.cluster.LimitRanges {
		for _, item := range c.cluster.LimitRanges[i].Spec.Limits {
			if item.Type == about {
				visit("limit range "+c.cluster.LimitRanges[i].Name, item)
			}
		}
	}
}

// checkLimitRanges tells what LimitRanges give to backup pods, and which pods and backupPVCs they refuse.
func (c *checker) checkLimitRanges() {
	pod := c.mover()
	for _, addition := range pod.added {
		c.add(Note, addition)
	}
	for _, name := range slices.Sorted(maps.Keys(pod.limits)) {
		request, limit := pod.requests[name], pod.limits[name]
		if setting := settingFor(name, false); setting != "" && request.Cmp(limit) > 0 {
			c.add(Error, problem.Problem{
				Path: problem.Path("podResources", setting), Message: "the request is above the limit that a limit range gives",
				Found: request.String(), Expected: "at most " + limit.String(),
				Suggestion: "set " + problem.Path("podResources", settingFor(name, true)),
			})
		}
	}
	for _, about := range []corev1.LimitType{corev1.LimitTypeContainer, corev1.LimitTypePod} {
		c.eachLimit(about, func(by string, item corev1.LimitRangeItem) {
			c.checkBounds(by, item, pod)
			c.checkRatio(by, item.MaxLimitRequestRatio, pod)
		})
	}
	c.eachLimit(corev1.LimitTypePersistentVolumeClaim, c.checkVolumeSizes)
}

// checkBounds checks a minimum, for which a request must be there, and a maximum, for which a limit must be.
func (c *checker) checkBounds(by string, item corev1.LimitRangeItem, pod *mover) {
	for _, isLimit := range []bool{false, true} {
		list := pod.list(isLimit)
		for _, name := range slices.Sorted(maps.Keys(item.Min)) {
			least := item.Min[name]
			if value, set := list[name]; set && value.Cmp(least) < 0 || !set && !isLimit {
				c.refuse(by, settingFor(name, isLimit), found(value, set), "at least "+least.String())
			}
		}
		for _, name := range slices.Sorted(maps.Keys(item.Max)) {
			most := item.Max[name]
			if value, set := list[name]; set && value.Cmp(most) > 0 || !set && isLimit {
				c.refuse(by, settingFor(name, isLimit), found(value, set), "at most "+most.String())
			}
		}
	}
}

func found(value resource.Quantity, set bool) string {
	if !set {
		return "none"
	}
	return value.String()
}

func (c *checker) refuse(by, setting, found, expected string) {
	if setting == "" {
		return
	}
	message := by + " refuses backup pods with this " + setting
	if found == "none" {
		message = by + " refuses backup pods without a " + setting
	}
	c.add(Error, problem.Problem{Path: problem.Path("podResources", setting), Message: message, Found: found, Expected: expected})
}

// checkRatio checks how many times its request a limit may be.
func (c *checker) checkRatio(by string, ratios corev1.ResourceList, pod *mover) {
	for _, name := range slices.Sorted(maps.Keys(ratios)) {
		ratio, request, limit := ratios[name], pod.requests[name], pod.limits[name]
		setting := settingFor(name, true)
		isRefused := request.IsZero() || limit.IsZero() ||
			limit.AsApproximateFloat64()/request.AsApproximateFloat64() > ratio.AsApproximateFloat64()
		if setting != "" && isRefused {
			c.add(Error, problem.Problem{
				Path: problem.Path("podResources", setting), Message: by + " refuses backup pods with this request and limit",
				Found:    fmt.Sprintf("request %s, limit %s", request.String(), limit.String()),
				Expected: fmt.Sprintf("both, and the limit at most %s times the request", ratio.String()),
			})
		}
	}
}
