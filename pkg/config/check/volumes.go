package check

import (
	"cmp"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/node-agent/node-agent/pkg/config/problem"
)

// volume is one that may be backed up. Its backupPVC is as large.
type volume struct {
	name string
	size resource.Quantity
}

func (v volume) String() string {
	return v.name + " of " + v.size.String()
}

// volumes returns those whose backupPVC is of a class, or all if the class is empty, the largest first.
func (c *checker) volumes(class string) []volume {
	var found []volume
	for i := range c.cluster.Claims {
		claim := &c.cluster.Claims[i]
		size := claim.Status.Capacity[corev1.ResourceStorage]
		source := ""
		if claim.Spec.StorageClassName != nil {
			source = *claim.Spec.StorageClassName
		}
		sourceClass := c.cluster.StorageClass(source)
		isSnapshotted := sourceClass != nil && c.cluster.CanSnapshot(sourceClass)
		section := c.cfg.BackupPVC[source]
		if isSnapshotted && !size.IsZero() && (class == "" || section.ClassFor(source) == class) {
			found = append(found, volume{name: claim.Namespace + "/" + claim.Name, size: size})
		}
	}
	slices.SortFunc(found, func(a, b volume) int { return cmp.Or(b.size.Cmp(a.size), cmp.Compare(a.name, b.name)) })
	return found
}

// checkVolumeSizes tells which backupPVCs a limit range refuses.
func (c *checker) checkVolumeSizes(by string, item corev1.LimitRangeItem) {
	least, most := item.Min[corev1.ResourceStorage], item.Max[corev1.ResourceStorage]
	var refused []volume
	for _, v := range c.volumes("") {
		if v.size.Cmp(least) < 0 || !most.IsZero() && v.size.Cmp(most) > 0 {
			refused = append(refused, v)
		}
	}
	bounds := ""
	if !least.IsZero() {
		bounds = "at least " + least.String()
	}
	if !most.IsZero() {
		bounds = join(bounds, "at most "+most.String())
	}
	switch {
	case len(refused) > 0:
		c.add(Warning, problem.Problem{
			Message: by + " refuses the backupPVCs of some volumes", Found: andMore(refused), Expected: bounds,
		})
	case bounds != "":
		c.add(Note, problem.Problem{Message: by + " allows backupPVCs of " + bounds + ", and they are as large as their volumes"})
	}
}

func join(first, second string) string {
	if first == "" {
		return second
	}
	return first + " and " + second
}

func andMore(volumes []volume) string {
	text := volumes[0].String()
	if more := len(volumes) - 1; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// checkStorage holds a quota of storage against the volumes that may have backupPVCs at a time.
func (c *checker) checkStorage(q quotaItem, class string, movers int) {
	what, path := "backupPVCs", ""
	if class != "" {
		what, path = what+" of class "+class, c.pathOfClass(class)
	}
	volumes := c.volumes(class)
	room := q.hard.DeepCopy()
	room.Sub(q.used)
	if room.Sign() < 0 {
		room = resource.Quantity{Format: room.Format}
	}
	together := resource.Quantity{}
	largest := volumes[:min(movers, len(volumes))]
	for _, v := range largest {
		together.Add(v.size)
	}
	wrong := problem.Problem{Path: path, Found: q.usage()}
	told := fmt.Sprintf("quota %s (%s)", q.name, q.resource)
	switch {
	case q.hard.IsZero():
		wrong.Message = told + " leaves no room for " + what
		c.add(Error, wrong)
	case len(volumes) > 0 && volumes[0].size.Cmp(q.hard) > 0:
		wrong.Message = fmt.Sprintf("%s never has room for the %s of volume %s", told, what, volumes[0])
		c.add(Warning, wrong)
	case len(volumes) == 0:
		level := Note
		if room.IsZero() {
			level = Warning
		}
		wrong.Message = fmt.Sprintf("%s has room for %s of %s now, and they are as large as their volumes", told, room.String(), what)
		c.add(level, wrong)
	case together.Cmp(room) > 0:
		wrong.Message = fmt.Sprintf("%s has room for %s of %s now, those of the %d largest volumes need %s at a time",
			told, room.String(), what, len(largest), together.String())
		c.add(Warning, wrong)
	}
}

// usesClass tells whether a setting leads to backupPVCs of a class, or a volume of that class is there and no setting leads it
// elsewhere.
func (c *checker) usesClass(class string) bool {
	return c.pathOfClass(class) != "" || len(c.volumes(class)) > 0
}
