package check_test

import (
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/node-agent/node-agent/pkg/config/check"
)

func quota(hard map[corev1.ResourceName]string, changes ...func(*corev1.ResourceQuota)) func(*check.Cluster) {
	return func(c *check.Cluster) {
		q := corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "q"}}
		q.Spec.Hard, q.Status.Used = corev1.ResourceList{}, corev1.ResourceList{}
		for name, amount := range hard {
			limit, used, _ := strings.Cut(amount, " used ")
			q.Spec.Hard[name] = resource.MustParse(limit)
			if used != "" {
				q.Status.Used[name] = resource.MustParse(used)
			}
		}
		for _, change := range changes {
			change(&q)
		}
		c.Quotas = append(c.Quotas, q)
	}
}

// list makes one of pairs of name and quantity.
func list(pairs ...string) corev1.ResourceList {
	made := corev1.ResourceList{}
	for i := 0; i < len(pairs); i += 2 {
		made[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return made
}

func limits(items ...corev1.LimitRangeItem) func(*check.Cluster) {
	return func(c *check.Cluster) {
		c.LimitRanges = append(c.LimitRanges, corev1.LimitRange{
			ObjectMeta: metav1.ObjectMeta{Name: "l"}, Spec: corev1.LimitRangeSpec{Limits: items},
		})
	}
}

// volumes makes bound PVCs of pairs of class and size.
func volumes(pairs ...string) func(*check.Cluster) {
	return func(c *check.Cluster) {
		for i := 0; i < len(pairs); i += 2 {
			claim := corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: fmt.Sprintf("pvc-%d", i/2+1)}}
			claim.Spec.StorageClassName, claim.Status.Capacity = &pairs[i], list("storage", pairs[i+1])
			c.Claims = append(c.Claims, claim)
		}
	}
}

func scope(name corev1.ResourceQuotaScope, operator corev1.ScopeSelectorOperator, values ...string) func(*corev1.ResourceQuota) {
	return func(q *corev1.ResourceQuota) {
		q.Spec.ScopeSelector = &corev1.ScopeSelector{MatchExpressions: []corev1.ScopedResourceSelectorRequirement{
			{ScopeName: name, Operator: operator, Values: values},
		}}
	}
}

var _ = DescribeTable("a configuration in a namespace with quotas and limit ranges", expectFindings,
	Entry("a quota of pods that is full", "{}\n", cluster(quota(map[corev1.ResourceName]string{"pods": "10 used 9"})),
		"warning 1:1 : quota q (pods) has room for 1 backup pods now, 3 may be needed at a time (9 of 10 used)"),
	Entry("a quota with room", "{}\n", cluster(quota(map[corev1.ResourceName]string{"count/pods": "10 used 7", "services": "0"}))),
	Entry("a quota of no PVC", "{}\n", cluster(quota(map[corev1.ResourceName]string{"persistentvolumeclaims": "0"})),
		"error 1:1 : quota q (persistentvolumeclaims) leaves no room for backupPVCs (0 of 0 used)"),
	Entry("a quota of PVCs of a class", "backupPVC: {gold: {storageClass: silver}}\n", cluster(quota(map[corev1.ResourceName]string{
		"silver.storageclass.storage.k8s.io/persistentvolumeclaims": "0", "gold.storageclass.storage.k8s.io/persistentvolumeclaims": "0",
	})),
		"note 1:20 backupPVC.gold.storageClass: the backupPVC is of class silver: provisioner csi.example.com, reclaim policy Delete, binding mode Immediate",
		"error 1:20 backupPVC.gold.storageClass: quota q (silver.storageclass.storage.k8s.io/persistentvolumeclaims) leaves no room for "+
			"backupPVCs of class silver (0 of 0 used)"),
	Entry("a quota of PVCs of a class that no setting names", "{}\n", cluster(volumes("gold", "1Gi"), quota(map[corev1.ResourceName]string{
		"gold.storageclass.storage.k8s.io/persistentvolumeclaims": "0", "silver.storageclass.storage.k8s.io/requests.storage": "0",
	})),
		"error 1:1 : quota q (gold.storageclass.storage.k8s.io/persistentvolumeclaims) leaves no room for backupPVCs of class gold (0 of 0 used)"),
	Entry("a quota of storage below the largest volume", "{}\n",
		cluster(volumes("gold", "10Gi", "gold", "200Gi", "other", "1Ti", "gone", "1Ti"),
			quota(map[corev1.ResourceName]string{"requests.storage": "100Gi used 5Gi"})),
		"warning 1:1 : quota q (requests.storage) never has room for the backupPVCs of volume shop/pvc-2 of 200Gi (5Gi of 100Gi used)"),
	Entry("a quota of storage that is used up by others", "{}\n",
		cluster(volumes("gold", "10Gi", "gold", "30Gi", "silver", "20Gi", "silver", "9Gi"),
			quota(map[corev1.ResourceName]string{"requests.storage": "100Gi used 50Gi"})),
		"warning 1:1 : quota q (requests.storage) has room for 50Gi of backupPVCs now, those of the 3 largest volumes need 60Gi at a time "+
			"(50Gi of 100Gi used)"),
	Entry("a quota of storage with room", "{}\n",
		cluster(volumes("gold", "10Gi", "gold", "30Gi"), quota(map[corev1.ResourceName]string{"requests.storage": "100Gi used 50Gi"}))),
	Entry("a quota of no storage", "{}\n", cluster(quota(map[corev1.ResourceName]string{"requests.storage": "0"})),
		"error 1:1 : quota q (requests.storage) leaves no room for backupPVCs (0 of 0 used)"),
	Entry("a quota of storage, and nothing known of volumes", "{}\n",
		cluster(quota(map[corev1.ResourceName]string{"requests.storage": "1Gi used 2Gi"})),
		"warning 1:1 : quota q (requests.storage) has room for 0 of backupPVCs now, and they are as large as their volumes (2Gi of 1Gi used)"),
	Entry("a quota of storage of the class of backupPVCs", "backupPVC: {gold: {storageClass: silver}}\n",
		cluster(volumes("gold", "10Gi"), quota(map[corev1.ResourceName]string{
			"silver.storageclass.storage.k8s.io/requests.storage": "5Gi", "gold.storageclass.storage.k8s.io/requests.storage": "0",
		})),
		"note 1:20 backupPVC.gold.storageClass: the backupPVC is of class silver: provisioner csi.example.com, reclaim policy Delete, binding mode Immediate",
		"warning 1:20 backupPVC.gold.storageClass: quota q (silver.storageclass.storage.k8s.io/requests.storage) never has room for the "+
			"backupPVCs of class silver of volume shop/pvc-1 of 10Gi (0 of 5Gi used)"),
	Entry("a quota of storage that does not count backupPVCs", "{}\n",
		cluster(quota(map[corev1.ResourceName]string{"requests.storage": "0"}, scope("VolumeAttributesClass", corev1.ScopeSelectorOpIn, "slow")))),
	Entry("a limit range that gives a limit below the request", "podResources: {memoryRequest: 2Gi}\n",
		cluster(limits(corev1.LimitRangeItem{Type: corev1.LimitTypeContainer, Default: list("memory", "512Mi"), DefaultRequest: list("memory", "256Mi")})),
		"note 1:1 podResources.memoryLimit: limit range l gives backup pods a memoryLimit of 512Mi",
		"error 1:16 podResources.memoryRequest: the request is above the limit that a limit range gives (2Gi) [set podResources.memoryLimit]"),
	Entry("a limit range with bounds", "podResources: {cpuRequest: 10m, cpuLimit: '8', memoryLimit: 1Gi}\n",
		cluster(limits(corev1.LimitRangeItem{
			Type: corev1.LimitTypeContainer, Min: list("cpu", "100m", "memory", "1Gi", "nvidia.com/gpu", "1"), Max: list("cpu", "4", "memory", "1Gi"),
		})),
		"error 1:16 podResources.cpuRequest: limit range l refuses backup pods with this cpuRequest (10m)",
		"error 1:33 podResources.cpuLimit: limit range l refuses backup pods with this cpuLimit (8)"),
	Entry("a limit range of pods that wants values", "{}\n",
		cluster(limits(corev1.LimitRangeItem{Type: corev1.LimitTypePod, Min: list("cpu", "100m"), Max: list("memory", "1Gi"),
			MaxLimitRequestRatio: list("ephemeral-storage", "2")})),
		"error 1:1 podResources.cpuRequest: limit range l refuses backup pods without a cpuRequest (none)",
		"error 1:1 podResources.memoryLimit: limit range l refuses backup pods without a memoryLimit (none)",
		"error 1:1 podResources.ephemeralStorageLimit: limit range l refuses backup pods with this request and limit (request 0, limit 0)"),
	Entry("a limit range with a ratio", "podResources: {cpuRequest: 100m, cpuLimit: 500m, memoryRequest: 1Gi, memoryLimit: 2Gi}\n",
		cluster(limits(corev1.LimitRangeItem{Type: corev1.LimitTypeContainer, MaxLimitRequestRatio: list("cpu", "4", "memory", "2")})),
		"error 1:34 podResources.cpuLimit: limit range l refuses backup pods with this request and limit (request 100m, limit 500m)"),
	Entry("a limit range of PVCs", "{}\n",
		cluster(volumes("gold", "500Mi", "gold", "5Gi", "silver", "50Gi", "silver", "60Gi"),
			limits(corev1.LimitRangeItem{Type: corev1.LimitTypePersistentVolumeClaim, Min: list("storage", "1Gi"), Max: list("storage", "20Gi")})),
		"warning 1:1 : limit range l refuses the backupPVCs of some volumes (shop/pvc-4 of 60Gi and 2 more)"),
	Entry("a limit range of PVCs, and nothing known of volumes", "{}\n",
		cluster(limits(corev1.LimitRangeItem{Type: corev1.LimitTypePersistentVolumeClaim, Min: list("storage", "1Gi"), Max: list("storage", "20Gi")})),
		"note 1:1 : limit range l allows backupPVCs of at least 1Gi and at most 20Gi, and they are as large as their volumes"),
	Entry("a quota that wants requests", "podResources: {memoryLimit: 1Gi}\n",
		cluster(quota(map[corev1.ResourceName]string{"requests.memory": "100Gi", "requests.cpu": "100", "limits.ephemeral-storage": "1Ti"})),
		"error 1:1 podResources.cpuRequest: quota q (requests.cpu) refuses backup pods without a cpuRequest (none) "+
			"[set podResources.cpuRequest, or a default in a LimitRange]"),
	Entry("a quota that wants requests, and defaults for them", "{}\n",
		cluster(quota(map[corev1.ResourceName]string{"requests.cpu": "100", "limits.memory": "4Gi"}), limits(corev1.LimitRangeItem{
			Type: corev1.LimitTypeContainer, Default: list("memory", "2Gi"), DefaultRequest: list("cpu", "1"),
		})),
		"warning 1:1 podResources.memoryLimit: quota q (limits.memory) has room for 2 backup pods with memoryLimit 2Gi now, "+
			"3 may be needed at a time (0 of 4Gi used)",
		"note 1:1 podResources.memoryLimit: limit range l gives backup pods a memoryLimit of 2Gi",
		"note 1:1 podResources.cpuRequest: limit range l gives backup pods a cpuRequest of 1"),
	Entry("a quota below one pod", "podResources: {cpuRequest: '2'}\nloadConcurrency: {globalConfig: 4}\n",
		cluster(quota(map[corev1.ResourceName]string{"cpu": "1500m"})),
		"error 1:16 podResources.cpuRequest: quota q (cpu) leaves no room for backup pods with cpuRequest 2 (0 of 1500m used)"),
	Entry("quotas in the scope of backup pods", "priorityClassName: low\n", cluster(
		quota(map[corev1.ResourceName]string{"pods": "0"}, scope(corev1.ResourceQuotaScopePriorityClass, corev1.ScopeSelectorOpIn, "low")),
		quota(map[corev1.ResourceName]string{"pods": "0"}, scope(corev1.ResourceQuotaScopeBestEffort, corev1.ScopeSelectorOpExists))),
		"note 1:1 priorityClassName: backup pods have priority -10",
		"error 1:1 : quota q (pods) leaves no room for backup pods (0 of 0 used)",
		"error 1:1 : quota q (pods) leaves no room for backup pods (0 of 0 used)"),
	Entry("quotas out of their scope", "podResources: {cpuLimit: '1'}\n", cluster(
		quota(map[corev1.ResourceName]string{"pods": "0"}, scope(corev1.ResourceQuotaScopePriorityClass, corev1.ScopeSelectorOpExists)),
		quota(map[corev1.ResourceName]string{"pods": "0"}, scope(corev1.ResourceQuotaScopePriorityClass, corev1.ScopeSelectorOpNotIn, "")),
		quota(map[corev1.ResourceName]string{"pods": "0"}, scope(corev1.ResourceQuotaScopeBestEffort, corev1.ScopeSelectorOpExists)),
		quota(map[corev1.ResourceName]string{"pods": "0"}, func(q *corev1.ResourceQuota) {
			q.Spec.Scopes = []corev1.ResourceQuotaScope{corev1.ResourceQuotaScopeTerminating}
		}))),
)
