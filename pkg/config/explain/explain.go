// Package explain says in plain words what a configuration comes to for each storage class and node.
package explain

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/node-agent/node-agent/pkg/config"
	"github.com/node-agent/node-agent/pkg/config/check"
)

// Text explains a configuration: with a cluster for its storage classes and nodes, without one for those that the
// configuration names.
func Text(source string, cfg *config.Config, cluster *check.Cluster) string {
	t := &text{cfg: cfg, cluster: cluster}
	t.line("Configuration of %s", source)
	t.classes()
	t.restores()
	t.pods()
	t.nodes()
	t.unused()
	t.unread()
	return t.String()
}

type text struct {
	strings.Builder
	cfg     *config.Config
	cluster *check.Cluster
}

func (t *text) line(format string, args ...any) {
	_, _ = fmt.Fprintf(t, format+"\n", args...) // a Builder takes whatever it is given
}

func (t *text) head(format string, args ...any) {
	t.line("\n"+format, args...)
}

// item writes one indented line with a name, unless there is nothing to say.
func (t *text) item(name, value string) {
	if value != "" {
		t.line("  %-12s %s", name, value)
	}
}

// classes explains the volumes of each storage class.
func (t *text) classes() {
	named := slices.Sorted(maps.Keys(t.cfg.BackupPVC))
	if t.knowsClasses() {
		for i := range t.cluster.StorageClasses {
			t.realClass(t.cluster.StorageClasses[i].Name)
		}
		t.withoutClass()
		named = slices.DeleteFunc(named, func(name string) bool { return name == "" || t.cluster.StorageClass(name) != nil })
		if len(named) > 0 {
			t.head("Not in this cluster: storage class %s", strings.Join(named, ", "))
		}
		return
	}
	t.withoutClass()
	for _, name := range slices.DeleteFunc(slices.Clone(named), func(name string) bool { return name == "" }) {
		t.head("Volumes of storage class %s", name)
		upload := t.cfg.ForUpload(name)
		t.upload(upload, t.class(upload.BackupPVC.ClassFor(name)))
	}
	if len(named) > 0 {
		t.head("Volumes of any other storage class")
	} else {
		t.head("Volumes of any storage class")
	}
	// The class is not known, so that only a loadAffinity rule without a class is.
	others := *t.cfg
	others.BackupPVC = nil
	t.upload(others.ForUpload(""), "the class of the volume")
	t.nodesOfClasses("backupPVC")
}

// withoutClass explains the volumes that have no storage class, if there are settings for them.
func (t *text) withoutClass() {
	if upload := t.cfg.ForUpload(""); upload.BackupPVC.StorageClass != "" {
		t.head("Volumes without a storage class")
		t.upload(upload, t.class(upload.BackupPVC.StorageClass))
	}
}

// nodesOfClasses names the nodes of the classes that have a loadAffinity rule of their own.
func (t *text) nodesOfClasses(pvc string) {
	for _, rule := range t.cfg.LoadAffinity {
		if rule.StorageClass != "" {
			t.item("", "but those with "+config.Describe(&rule.NodeSelector)+" if the "+pvc+" is of class "+rule.StorageClass)
		}
	}
}

// realClass explains the volumes of a storage class of the cluster.
func (t *text) realClass(name string) {
	class := t.cluster.StorageClass(name)
	t.head("Volumes of storage class %s", name)
	if !t.cluster.CanSnapshot(class) {
		t.item("no backup", "there is no VolumeSnapshotClass for driver "+class.Provisioner)
		return
	}
	upload := t.cfg.ForUpload(name)
	t.upload(upload, t.class(upload.BackupPVC.ClassFor(name)))
}

// class describes a storage class, as far as the cluster is known.
func (t *text) class(name string) string {
	if !t.knowsClasses() {
		return "class " + name
	}
	if class := t.cluster.StorageClass(name); class != nil {
		return "class " + check.DescribeClass(class)
	}
	return "class " + name + ", which does not exist"
}

func (t *text) upload(upload config.Upload, class string) {
	section := upload.BackupPVC
	t.item("backupPVC", class)
	mode := string(section.AccessMode())
	if section.ReadOnly {
		mode += ", mounted read-only"
	}
	t.item("access mode", mode)
	switch {
	case section.ReadOnly && section.SPCNoRelabeling:
		t.item("SELinux", "type spc_t, the volume is not relabelled")
	case section.AccessMode() == corev1.ReadWriteOncePod:
		t.item("SELinux", "the label is an option of the mount, where the driver supports it")
	}
	t.item("annotations", pairs(section.Annotations))
	t.item("secrets", strings.Join(section.SecretNames, ", "))
	t.item("configMaps", strings.Join(section.ConfigMapNames, ", "))
	t.item("nodes", t.nodesFor(upload.NodeSelector))
}

// restores explains what all restores have in common.
func (t *text) restores() {
	download := t.cfg.ForDownload("")
	t.head("Restores")
	begin := "if that binds late, when a pod uses the target PVC"
	if download.IgnoreDelayBinding {
		begin = "at once, also if that binds late"
	}
	t.item("restorePVC", "the class of the target PVC; "+begin)
	t.item("secrets", strings.Join(download.SecretNames, ", "))
	t.item("configMaps", strings.Join(download.ConfigMapNames, ", "))
	t.item("cachePVC", t.cachePVC(download.CachePVC))
	t.item("nodes", t.nodesFor(download.NodeSelector))
	t.nodesOfClasses("target PVC")
}

func (t *text) cachePVC(section *config.CachePVC) string {
	if section == nil {
		return "none, the cache is in the pod"
	}
	class := t.class(section.StorageClass)
	if section.ResidentThresholdInMB > 0 {
		class += fmt.Sprintf("; for backups of %d MiB and more", section.ResidentThresholdInMB)
	}
	return class
}

// nodesFor says on which nodes backup or restore pods may run.
func (t *text) nodesFor(selector *metav1.LabelSelector) string {
	which := "any"
	if selector != nil && config.Describe(selector) != "any" {
		which = "those with " + config.Describe(selector)
	}
	if !t.knowsNodes() || which == "any" {
		return which
	}
	var names []string
	for i := range t.cluster.Nodes {
		if node := &t.cluster.Nodes[i]; config.Matches(selector, node.Labels) {
			names = append(names, node.Name)
		}
	}
	return fmt.Sprintf("%s: %d of %d %s", which, len(names), len(t.cluster.Nodes), listed(names))
}

// listed writes the first names of a list in brackets.
func listed(names []string) string {
	const most = 5
	if omitted := len(names) - most; omitted > 0 {
		names = append(names[:most:most], fmt.Sprintf("and %d more", omitted))
	}
	if len(names) == 0 {
		return "(none)"
	}
	return "(" + strings.Join(names, ", ") + ")"
}

// pods explains what all pods that move data have in common.
func (t *text) pods() {
	t.head("Backup and restore pods")
	resources := ""
	if t.cfg.PodResources != nil {
		resources = t.cfg.PodResources.String()
	}
	if resources == "" {
		resources = "no requests and no limits"
	}
	t.item("resources", resources)
	t.item("priority", t.cfg.PriorityClassName)
	t.item("labels", pairs(t.cfg.PodLabels))
	t.item("annotations", pairs(t.cfg.PodAnnotations))
	t.item("tolerations", config.DescribeTolerations(t.cfg.Tolerations))
}

// nodes explains how many volumes are moved at a time.
func (t *text) nodes() {
	t.head("Volumes moved at a time")
	if t.knowsNodes() {
		for i := range t.cluster.Nodes {
			node := &t.cluster.Nodes[i]
			t.line("  %-3d on node %s", t.cfg.Concurrency(node.Labels), node.Name)
		}
	} else {
		for _, rule := range t.cfg.LoadConcurrency.PerNodeConfig {
			t.line("  %-3d on each node with %s", rule.Number, config.Describe(&rule.NodeSelector))
		}
		others := "on each node"
		if len(t.cfg.LoadConcurrency.PerNodeConfig) > 0 {
			others = "on each other node"
		}
		t.line("  %-3d %s", t.cfg.LoadConcurrency.GlobalConfig, others)
		if len(t.cfg.LoadConcurrency.PerNodeConfig) > 1 {
			t.line("  If several of these are for a node, the smallest number counts.")
		}
	}
	if length := t.cfg.LoadConcurrency.PrepareQueueLength; length > 0 {
		t.line("  At most %d DataUploads and DataDownloads in preparation, in the whole cluster.", length)
	} else {
		t.line("  Any number of DataUploads and DataDownloads in preparation.")
	}
	t.line("  Restores first.")
}

// unused names the sections that only Velero knows what to do with.
func (t *text) unused() {
	var sections []string
	for _, section := range []struct {
		name string
		set  bool
	}{
		{"privilegedFsBackup", t.cfg.PrivilegedFsBackup},
		{"csiSnapshotMetadataServiceConfigs", t.cfg.CSISnapshotMetadataServiceConfigs != nil},
	} {
		if section.set {
			sections = append(sections, section.name)
		}
	}
	if len(sections) > 0 {
		t.head("Without effect: %s", strings.Join(sections, ", "))
	}
}

// unread tells what of the cluster could not be read, so that it was explained without.
func (t *text) unread() {
	if t.cluster == nil {
		return
	}
	for _, kind := range slices.Sorted(maps.Keys(t.cluster.Unread)) {
		t.head("Without the cluster's %s: %s", kind, t.cluster.Unread[kind])
	}
}

func (t *text) knowsClasses() bool {
	return t.cluster != nil && len(t.cluster.StorageClasses) > 0
}

func (t *text) knowsNodes() bool {
	return t.cluster != nil && len(t.cluster.Nodes) > 0
}

func pairs(of map[string]string) string {
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(of)) {
		parts = append(parts, fmt.Sprintf("%s=%q", key, of[key]))
	}
	return strings.Join(parts, ", ")
}
