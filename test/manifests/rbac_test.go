package manifests_test

import (
	"context"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/expose"
	"github.com/node-agent/node-agent/test/controlplane"
)

const (
	agent = "node-agent"
	mover = "node-agent-mover"

	elsewhere = "shop"
)

var _ = Describe("RBAC", Ordered, func() {
	var c client.Client

	BeforeAll(func() {
		plane, err := controlplane.Start()
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(plane.Stop)
		scheme, err := controlplane.Scheme()
		Expect(err).NotTo(HaveOccurred())
		c, err = client.New(plane.Config, client.Options{Scheme: scheme})
		Expect(err).NotTo(HaveOccurred())
		c = client.WithFieldValidation(c, metav1.FieldValidationStrict)

		Expect(c.Create(GinkgoT().Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})).To(Succeed())
		for _, m := range append(load("rbac"), load("agent")...) {
			object, err := decode(m)
			Expect(err).NotTo(HaveOccurred())
			Expect(c.Create(GinkgoT().Context(), object.(client.Object))).To(Succeed(), m.file)
		}
	})

	allowed := func(account, verb, group, resource, in string) bool {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User:   "system:serviceaccount:" + namespace + ":" + account,
			Groups: []string{"system:serviceaccounts", "system:serviceaccounts:" + namespace, "system:authenticated"},
			ResourceAttributes: &authorizationv1.ResourceAttributes{
				Namespace: in, Verb: verb, Group: group, Resource: resource,
			},
		}}
		Expect(c.Create(GinkgoT().Context(), review)).To(Succeed())
		return review.Status.Allowed
	}

	DescribeTable("allows what is needed",
		func(account, group, resource, in string, verbs ...string) {
			for _, verb := range verbs {
				Expect(allowed(account, verb, group, resource, in)).To(BeTrue(), verb)
			}
		},
		Entry("agent: DataUploads", agent, "velero.io", "datauploads", namespace, "get", "list", "watch", "patch"),
		Entry("agent: repositories", agent, "velero.io", "backuprepositories", namespace, "get", "list", "watch", "create", "patch"),
		Entry("agent: locations", agent, "velero.io", "backupstoragelocations", namespace, "get", "list", "watch"),
		Entry("agent: backup pods", agent, "", "pods", namespace, "get", "list", "watch", "create", "delete"),
		Entry("agent: backupPVCs", agent, "", "persistentvolumeclaims", namespace, "get", "list", "watch", "create", "delete"),
		Entry("agent: source and target PVC", agent, "", "persistentvolumeclaims", elsewhere, "get", "patch"),
		Entry("agent: DataDownloads", agent, "velero.io", "datadownloads", namespace, "get", "list", "watch", "patch"),
		Entry("agent: file-system backups", agent, "velero.io", "podvolumebackups", namespace, "list", "watch"),
		Entry("agent: file-system restores", agent, "velero.io", "podvolumerestores", namespace, "list", "watch"),
		Entry("agent: PVs", agent, "", "persistentvolumes", "", "get", "list", "watch", "patch"),
		Entry("agent: alias snapshots", agent, "snapshot.storage.k8s.io", "volumesnapshots", namespace, "get", "list", "create", "delete"),
		Entry("agent: source snapshots", agent, "snapshot.storage.k8s.io", "volumesnapshots", elsewhere, "get", "list", "watch", "delete"),
		Entry("agent: contents", agent, "snapshot.storage.k8s.io", "volumesnapshotcontents", "",
			"get", "list", "watch", "create", "patch", "delete"),
		Entry("agent: classes", agent, "storage.k8s.io", "storageclasses", "", "get", "list", "watch"),
		Entry("agent: attachments", agent, "storage.k8s.io", "volumeattachments", "", "list"),
		Entry("agent: nodes", agent, "", "nodes", "", "get", "list", "watch"),
		Entry("agent: its ConfigMap, and those for Velero", agent, "", "configmaps", namespace, "get", "list", "watch", "create"),
		Entry("agent: events to read", agent, "", "events", namespace, "list", "watch"),
		Entry("agent: events to write", agent, "events.k8s.io", "events", namespace, "create", "patch"),
		Entry("agent: the lease", agent, "coordination.k8s.io", "leases", namespace, "get", "create", "update"),
		Entry("agent: its DaemonSet", agent, "apps", "daemonsets", namespace, "get"),
		Entry("mover: DataUploads", mover, "velero.io", "datauploads", namespace, "get", "watch", "patch"),
		Entry("mover: DataDownloads", mover, "velero.io", "datadownloads", namespace, "get", "watch", "patch"),
		Entry("mover: locations", mover, "velero.io", "backupstoragelocations", namespace, "get"),
	)

	DescribeTable("refuses the rest",
		func(account, group, resource, in string, verbs ...string) {
			for _, verb := range verbs {
				Expect(allowed(account, verb, group, resource, in)).To(BeFalse(), verb)
			}
		},
		Entry("agent: Secrets of others", agent, "", "secrets", elsewhere, "get", "list", "watch"),
		Entry("agent: Secrets", agent, "", "secrets", namespace, "get", "list", "watch", "create", "patch", "delete"),
		Entry("agent: changes of ConfigMaps", agent, "", "configmaps", namespace, "update", "patch", "delete"),
		Entry("agent: ConfigMaps of others", agent, "", "configmaps", elsewhere, "get", "list", "watch", "create"),
		Entry("agent: pods of others", agent, "", "pods", elsewhere, "get", "create", "delete"),
		Entry("agent: PVCs of others", agent, "", "persistentvolumeclaims", elsewhere, "create", "update", "delete"),
		Entry("agent: shells in pods", agent, "", "pods/exec", namespace, "create"),
		Entry("agent: removal of DataUploads", agent, "velero.io", "datauploads", namespace, "create", "delete"),
		Entry("agent: removal of DataDownloads", agent, "velero.io", "datadownloads", namespace, "create", "delete"),
		Entry("agent: changes of file-system backups", agent, "velero.io", "podvolumebackups", namespace, "get", "patch", "update", "delete"),
		Entry("agent: file-system backups of others", agent, "velero.io", "podvolumerestores", elsewhere, "list", "watch"),
		Entry("mover: file-system backups", mover, "velero.io", "podvolumebackups", namespace, "list", "watch"),
		Entry("agent: changes of nodes", agent, "", "nodes", "", "patch", "update", "delete"),
		Entry("agent: removal of PVs", agent, "", "persistentvolumes", "", "delete"),
		Entry("agent: namespaces", agent, "", "namespaces", "", "get", "list"),
		Entry("agent: more rights", agent, "rbac.authorization.k8s.io", "rolebindings", namespace, "create", "patch"),
		Entry("mover: removal of DataUploads", mover, "velero.io", "datauploads", namespace, "create", "delete"),
		Entry("mover: removal of DataDownloads", mover, "velero.io", "datadownloads", namespace, "create", "delete"),
		Entry("mover: DataUploads of others", mover, "velero.io", "datauploads", elsewhere, "get", "patch"),
		Entry("mover: all DataUploads", mover, "velero.io", "datauploads", namespace, "list", "update", "deletecollection"),
		Entry("mover: Secrets", mover, "", "secrets", namespace, "get", "list", "watch"),
		Entry("mover: changes of locations", mover, "velero.io", "backupstoragelocations", namespace, "list", "patch", "update"),
		Entry("mover: Secrets of others", mover, "", "secrets", elsewhere, "get"),
		Entry("mover: pods", mover, "", "pods", namespace, "get", "create", "delete"),
		Entry("mover: volumes", mover, "", "persistentvolumes", "", "get", "delete"),
	)

	It("allows to copy Secrets and ConfigMaps only where encrypted volumes are asked for", func() {
		for _, resource := range []string{"secrets", "configmaps"} {
			for _, verb := range []string{"patch", "delete"} {
				Expect(allowed(agent, verb, "", resource, namespace)).To(BeFalse(), resource)
			}
			Expect(allowed(agent, "get", "", resource, elsewhere)).To(BeFalse(), resource)
		}
		for _, m := range load("encrypted-volumes") {
			object, err := decode(m)
			Expect(err).NotTo(HaveOccurred())
			Expect(c.Create(GinkgoT().Context(), object.(client.Object))).To(Succeed(), m.file)
			DeferCleanup(func() { Expect(c.Delete(context.Background(), object.(client.Object))).To(Succeed()) })
		}
		for _, resource := range []string{"secrets", "configmaps"} {
			Eventually(allowed).WithArguments(agent, "get", "", resource, namespace).Should(BeTrue(), resource)
			for _, verb := range []string{"create", "patch", "delete"} {
				Eventually(allowed).WithArguments(agent, verb, "", resource, namespace).Should(BeTrue(), resource)
				Expect(allowed(agent, verb, "", resource, elsewhere)).To(BeFalse(), resource)
			}
			Expect(allowed(agent, "get", "", resource, elsewhere)).To(BeTrue(), resource)
			Expect(allowed(agent, "list", "", resource, elsewhere)).To(BeFalse(), resource)
			Expect(allowed(mover, "get", "", resource, elsewhere)).To(BeFalse(), resource)
		}
	})

	It("allows to read Secrets where repositories are managed, and no more", func() {
		for _, m := range load("manage-repositories") {
			object, err := decode(m)
			Expect(err).NotTo(HaveOccurred())
			Expect(c.Create(GinkgoT().Context(), object.(client.Object))).To(Succeed(), m.file)
			DeferCleanup(func() { Expect(c.Delete(context.Background(), object.(client.Object))).To(Succeed()) })
		}
		Eventually(allowed).WithArguments(agent, "get", "", "secrets", namespace).Should(BeTrue())
		for _, verb := range []string{"list", "watch", "create", "patch", "delete"} {
			Expect(allowed(agent, verb, "", "secrets", namespace)).To(BeFalse(), verb)
		}
		Expect(allowed(agent, "get", "", "secrets", elsewhere)).To(BeFalse())
	})

	It("is for movers what the agent makes itself where it is not installed", func() {
		role, binding, account := expose.MoverRole(namespace), expose.MoverRoleBinding(namespace), expose.MoverAccount(namespace, nil)
		for _, made := range []client.Object{role, binding, account} {
			Expect(expose.MadeByAgent(made)).To(BeTrue())
			there := made.DeepCopyObject().(client.Object)
			Expect(c.Get(GinkgoT().Context(), client.ObjectKeyFromObject(made), there)).To(Succeed())
			Expect(expose.MadeByAgent(there)).To(BeFalse())
			switch there := there.(type) {
			case *rbacv1.Role:
				Expect(role.Rules).To(Equal(there.Rules))
			case *rbacv1.RoleBinding:
				Expect(binding.RoleRef).To(Equal(there.RoleRef))
				Expect(binding.Subjects).To(Equal(there.Subjects))
			}
		}
	})

	It("has no wildcards", func() {
		for _, m := range slices.Concat(load("rbac"), load("encrypted-volumes"), load("manage-repositories")) {
			object, err := decode(m)
			Expect(err).NotTo(HaveOccurred())
			var rules []rbacv1.PolicyRule
			switch role := object.(type) {
			case *rbacv1.Role:
				rules = role.Rules
			case *rbacv1.ClusterRole:
				rules = role.Rules
			}
			for _, rule := range rules {
				Expect(append(append(rule.Verbs, rule.Resources...), rule.APIGroups...)).NotTo(ContainElement("*"), m.file)
			}
		}
	})
})
