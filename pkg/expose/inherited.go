package expose

import (
	"slices"
	"strings"
)

// What an intermediate object does not take over from the one that it stands for. All else it does, as with Velero, because drivers
// shape volumes by labels and annotations of which nobody has a list. These are read by controllers that act on whatever carries
// them: they would delete the intermediate object as one that nobody has asked for, fill it with other data, resize it, or delete it
// when its time is over.
var (
	// foreignDomains are those of keys of such controllers, with all that is below them.
	foreignDomains = []string{
		// GitOps: what is applied is tracked, and what is not is pruned.
		"argoproj.io", "fluxcd.io", "kapp.k14s.io", "helm.sh",
		"applyset.kubernetes.io", "addonmanager.kubernetes.io", "config.k8s.io", "configsync.gke.io", "configmanagement.gke.io",
		"fleet.cattle.io", "objectset.rio.cattle.io", "operators.coreos.com", "crossplane.io", "hnc.x-k8s.io",
		// Importers and populators fill the volume.
		"cdi.kubevirt.io", "forklift.konveyor.io", "volsync.backube",
		// Resizers and policies.
		"resize.topolvm.io", "kyverno.io", "janitor",
	}
	// foreignKeys are single ones.
	foreignKeys = []string{
		"app.kubernetes.io/instance", "app.kubernetes.io/managed-by",
		"kubectl.kubernetes.io/last-applied-configuration", // kubectl apply --prune goes by it
		"olm.owner", "olm.owner.kind", "olm.owner.namespace", "olm.managed",
	}
)

// inherited are the labels or annotations that an intermediate object takes over.
func inherited(from map[string]string) map[string]string {
	taken := map[string]string{}
	for key, value := range from {
		if !isForeign(key) {
			taken[key] = value
		}
	}
	return taken
}

func isForeign(key string) bool {
	domain, _, found := strings.Cut(key, "/")
	return slices.Contains(foreignKeys, key) || found && slices.ContainsFunc(foreignDomains, func(foreign string) bool {
		return domain == foreign || strings.HasSuffix(domain, "."+foreign)
	})
}
