package check

import (
	"fmt"
	"maps"
	"slices"

	"github.com/node-agent/node-agent/pkg/config/problem"
)

const (
	podSecurityLabel = "pod-security.kubernetes.io/enforce"
	baseline         = "baseline"
	restricted       = "restricted"
)

// checkPodSecurity holds what backup pods need against the pod security level of the namespace.
func (c *checker) checkPodSecurity() {
	level := c.cluster.Namespace.Labels[podSecurityLabel]
	if level == restricted {
		c.add(Error, problem.Problem{
			Message: "backup pods run as root, which the pod security level of namespace " + c.cluster.Namespace.Name + " forbids",
			Found:   podSecurityLabel + "=" + level, Expected: "baseline or privileged",
		})
	}
	if level != restricted && level != baseline {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(c.cfg.BackupPVC)) {
		if section := c.cfg.BackupPVC[name]; section.ReadOnly && section.SPCNoRelabeling {
			c.add(Error, problem.Problem{
				Path:    problem.Path("backupPVC", name, "spcNoRelabeling"),
				Message: "the pod security level of namespace " + c.cluster.Namespace.Name + " forbids the SELinux type spc_t",
				Found:   podSecurityLabel + "=" + level, Expected: "privileged",
			})
		}
	}
}

func (c *checker) checkPriorityClass() {
	name := c.cfg.PriorityClassName
	if name == "" || !c.cluster.has(priorityClasses) {
		return
	}
	names := make([]string, 0, len(c.cluster.PriorityClasses))
	for i := range c.cluster.PriorityClasses {
		class := &c.cluster.PriorityClasses[i]
		names = append(names, class.Name)
		if class.Name == name {
			c.add(Note, problem.Problem{Path: "priorityClassName", Message: fmt.Sprintf("backup pods have priority %d", class.Value)})
			return
		}
	}
	c.add(Error, problem.Problem{
		Path: "priorityClassName", Message: "priority class " + name + " does not exist: the API server refuses backup pods",
		Suggestion: problem.SuggestNearest(name, names),
	})
}
