package check

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"

	"github.com/node-agent/node-agent/pkg/config/problem"
	"github.com/node-agent/node-agent/pkg/config/schema"
)

// Classes says what is wrong about the storage classes that a configuration names, given all that there are. It is part of what
// Against reports, without the notes.
func Classes(document *schema.Checked, classes []storagev1.StorageClass) []problem.Problem {
	cluster := &Cluster{StorageClasses: classes, Unread: map[string]string{snapshotClasses: "not asked for"}}
	c := &checker{cfg: document.Config, cluster: cluster, document: document}
	c.checkStorageClasses()
	c.checkOtherClasses()
	var problems []problem.Problem
	for _, finding := range c.findings {
		if finding.Level != Note {
			problems = append(problems, finding.Problem)
		}
	}
	return problems
}

// checkStorageClasses checks the classes of source PVC and backupPVC: a snapshot becomes a volume only with the driver that
// made it.
func (c *checker) checkStorageClasses() {
	if !c.cluster.has(storageClasses) {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(c.cfg.BackupPVC)) {
		path := problem.Path("backupPVC", name)
		source := c.cluster.StorageClass(name)
		if name == "" {
			// It is for volumes without a class, whose driver is known only when there is one.
		} else if source == nil {
			wrong := c.missingClass(path, name)
			wrong.Message += ": no volume has these settings"
			c.add(Warning, wrong)
		} else if !c.cluster.CanSnapshot(source) {
			c.add(Error, problem.Problem{
				Path: path, Message: "no VolumeSnapshotClass for driver " + source.Provisioner + ": its volumes cannot be snapshotted",
			})
		}
		c.checkBackupClass(name, source)
	}
}

func (c *checker) checkBackupClass(sourceName string, source *storagev1.StorageClass) {
	section := c.cfg.BackupPVC[sourceName]
	path := problem.Path("backupPVC", sourceName)
	backup := source
	if section.StorageClass != "" {
		path = problem.Path("backupPVC", sourceName, "storageClass")
		if backup = c.cluster.StorageClass(section.StorageClass); backup == nil {
			wrong := c.missingClass(path, section.StorageClass)
			wrong.Message += ": DataUploads would be canceled at the prepare timeout"
			c.add(Error, wrong)
		}
	}
	if backup == nil {
		return
	}
	if source != nil && source.Provisioner != backup.Provisioner {
		c.add(Error, problem.Problem{
			Path: path, Message: "a snapshot becomes a volume only with the driver that made it",
			Found:    fmt.Sprintf("class %s of provisioner %s", backup.Name, backup.Provisioner),
			Expected: fmt.Sprintf("one of provisioner %s, which is that of %s", source.Provisioner, source.Name),
		})
	}
	c.add(Note, problem.Problem{Path: path, Message: "the backupPVC is of class " + DescribeClass(backup)})
}

// checkOtherClasses checks the classes that are named elsewhere.
func (c *checker) checkOtherClasses() {
	if !c.cluster.has(storageClasses) {
		return
	}
	for i, rule := range c.cfg.LoadAffinity {
		if rule.StorageClass != "" && c.cluster.StorageClass(rule.StorageClass) == nil {
			wrong := c.missingClass(fmt.Sprintf("loadAffinity[%d].storageClass", i), rule.StorageClass)
			wrong.Message += ": the rule is never used"
			c.add(Warning, wrong)
		}
	}
	cache := c.cfg.CachePVC
	if cache == nil {
		return
	}
	const path = "cachePVC.storageClass"
	switch class := c.cluster.StorageClass(cache.StorageClass); {
	case class == nil:
		wrong := c.missingClass(path, cache.StorageClass)
		wrong.Message += ": Velero restores without a cache volume"
		c.add(Warning, wrong)
	case reclaimPolicy(class) != corev1.PersistentVolumeReclaimDelete:
		c.add(Warning, problem.Problem{
			Path: path, Message: "Velero restores without a cache volume unless the class deletes its volumes",
			Found: "reclaim policy " + string(reclaimPolicy(class)), Expected: string(corev1.PersistentVolumeReclaimDelete),
		})
	}
}

func (c *checker) missingClass(path, name string) problem.Problem {
	names := make([]string, 0, len(c.cluster.StorageClasses))
	for i := range c.cluster.StorageClasses {
		names = append(names, c.cluster.StorageClasses[i].Name)
	}
	return problem.Problem{
		Path: path, Message: "storage class " + name + " does not exist", Suggestion: problem.SuggestNearest(name, names),
	}
}

// DescribeClass says what matters of a storage class to a backupPVC.
func DescribeClass(class *storagev1.StorageClass) string {
	binding := storagev1.VolumeBindingImmediate
	if class.VolumeBindingMode != nil {
		binding = *class.VolumeBindingMode
	}
	policy := reclaimPolicy(class)
	text := fmt.Sprintf("%s: provisioner %s, reclaim policy %s, binding mode %s", class.Name, class.Provisioner, policy, binding)
	if policy == corev1.PersistentVolumeReclaimRetain {
		text += " (node-agent removes the volume all the same)"
	}
	return text
}

func reclaimPolicy(class *storagev1.StorageClass) corev1.PersistentVolumeReclaimPolicy {
	if class.ReclaimPolicy == nil {
		return corev1.PersistentVolumeReclaimDelete
	}
	return *class.ReclaimPolicy
}
