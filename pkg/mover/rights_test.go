package mover_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
)

var _ = Describe("The rights of a mover", func() {
	It("are few", func(ctx context.Context) {
		b := newBench(ctx, v2alpha1.DataUploadPhasePrepared)
		user, err := environment.AddUser(envtest.User{Name: "mover-" + b.namespace}, nil)
		Expect(err).NotTo(HaveOccurred())
		b.options.Client = b.newClient(user.Config())

		By("failing without any")
		b.start()
		message, err := b.ended()
		Expect(err).To(HaveOccurred())
		Expect(message).To(HavePrefix("get DataUpload " + b.namespace + "/" + duName + ": "))
		Expect(message).To(ContainSubstring("is forbidden"))

		By("uploading with these")
		grant(ctx, b.namespace, "mover-"+b.namespace,
			rule("velero.io", "datauploads", "get", "watch", "patch"),
			rule("velero.io", "backupstoragelocations", "get"),
			rule("", "secrets", "get"),
		)
		b.start()
		b.waiting()
		b.setPhase(ctx, v2alpha1.DataUploadPhaseInProgress)
		b.uploading()
		b.uploader.succeed()
		_, err = b.ended()
		Expect(err).NotTo(HaveOccurred())
		Expect(b.warnings()).To(BeEmpty())
		Expect(b.progress(ctx)).To(Equal(v2alpha1.DataMoveOperationProgress{TotalBytes: 100, BytesDone: 100}))
	})
})

func rule(group, resource string, verbs ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{group}, Resources: []string{resource}, Verbs: verbs}
}

// grant gives a user rights in a namespace.
func grant(ctx context.Context, namespace, user string, rules ...rbacv1.PolicyRule) {
	GinkgoHelper()
	meta := metav1.ObjectMeta{Namespace: namespace, Name: "mover"}
	Expect(admin.Create(ctx, &rbacv1.Role{ObjectMeta: meta, Rules: rules})).To(Succeed())
	Expect(admin.Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: meta,
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user}},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "mover"},
	})).To(Succeed())
}
