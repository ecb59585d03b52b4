package check

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/node-agent/node-agent/pkg/config/problem"
)

// checkSELinux looks for read-only volumes that would have to be relabelled, which is impossible, and for drivers that cannot
// spare volumes of a single pod the relabelling.
func (c *checker) checkSELinux() {
	labelled := c.cluster.nodesWithSELinux()
	for _, name := range slices.Sorted(maps.Keys(c.cfg.BackupPVC)) {
		section := c.cfg.BackupPVC[name]
		c.checkMountLabel(name)
		if !section.ReadOnly || section.SPCNoRelabeling {
			continue
		}
		var found string
		class := c.cluster.StorageClass(section.ClassFor(name))
		switch {
		case len(labelled) == 1:
			found = "node " + labelled[0]
		case len(labelled) > 1:
			found = fmt.Sprintf("node %s and %d more", labelled[0], len(labelled)-1)
		case class != nil && c.supportsSELinuxMount(class.Provisioner):
			found = "CSIDriver " + class.Provisioner + " with seLinuxMount: true"
		default:
			continue
		}
		c.add(Warning, problem.Problem{
			Path:    problem.Path("backupPVC", name, "readOnly"),
			Message: "where SELinux is on, a read-only volume cannot be relabelled for the backup pod",
			Found:   found, Suggestion: "set spcNoRelabeling: true beside it",
		})
	}
}

func (c *checker) checkMountLabel(name string) {
	section := c.cfg.BackupPVC[name]
	class := c.cluster.StorageClass(section.ClassFor(name))
	isKnown := class != nil && c.cluster.has(drivers)
	if section.AccessMode() != corev1.ReadWriteOncePod || !isKnown || c.supportsSELinuxMount(class.Provisioner) {
		return
	}
	c.add(Warning, problem.Problem{
		Path:    problem.Path("backupPVC", name, "readWriteOncePod"),
		Message: "where SELinux is on, the volume is labelled file by file unless its driver can do it when it mounts",
		Found:   "CSIDriver " + class.Provisioner + " without seLinuxMount: true",
	})
}

func (c *checker) supportsSELinuxMount(provisioner string) bool {
	driver := c.cluster.driver(provisioner)
	return driver != nil && driver.Spec.SELinuxMount != nil && *driver.Spec.SELinuxMount
}

// selinuxLabel is what node-feature-discovery says of a node's kernel.
const selinuxLabel = "feature.node.kubernetes.io/kernel-selinux.enabled"

// selinuxSystems are operating systems that have SELinux on unless somebody turned it off.
var selinuxSystems = []string{"Red Hat", "Fedora", "CentOS", "Rocky", "AlmaLinux", "Oracle Linux", "Bottlerocket", "SUSE Linux Micro"}

// nodesWithSELinux names the nodes that seem to have SELinux on, each with the reason to think so.
func (c *Cluster) nodesWithSELinux() []string {
	var found []string
	for i := range c.Nodes {
		node := &c.Nodes[i]
		image := node.Status.NodeInfo.OSImage
		switch {
		case node.Labels[selinuxLabel] == "true":
			found = append(found, node.Name+" (label "+selinuxLabel+")")
		case node.Labels[selinuxLabel] == "false":
		case containsAny(image, selinuxSystems):
			found = append(found, node.Name+" ("+image+")")
		}
	}
	return found
}

func containsAny(text string, words []string) bool {
	for _, word := range words {
		if strings.Contains(text, word) {
			return true
		}
	}
	return false
}
