package integration

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/config"
)

const (
	tokenName = "kms-token"
	kmsName   = "kms-config"
)

// encrypted asks for what a driver needs for an encrypted volume.
var encrypted = backupPVC(config.BackupPVC{SecretNames: []string{tokenName}, ConfigMapNames: []string{kmsName}})

func makeToken(ctx context.Context, namespace, content string) *corev1.Secret {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: tokenName}, Data: map[string][]byte{"token": []byte(content)}}
	Expect(live.Create(ctx, secret)).To(Succeed())
	DeferCleanup(func(ctx context.Context) { Expect(client.IgnoreNotFound(live.Delete(ctx, secret))).To(Succeed()) })
	return secret
}

func copiesIn(ctx context.Context, namespace string) (*corev1.Secret, *corev1.ConfigMap) {
	secret, configMap := &corev1.Secret{}, &corev1.ConfigMap{}
	if live.Get(ctx, client.ObjectKey{Namespace: namespace, Name: tokenName}, secret) != nil {
		secret = nil
	}
	if live.Get(ctx, client.ObjectKey{Namespace: namespace, Name: kmsName}, configMap) != nil {
		configMap = nil
	}
	return secret, configMap
}

var _ = Describe("an encrypted volume", func() {
	var original *corev1.Secret
	BeforeEach(func(ctx context.Context) {
		original = makeToken(ctx, "shop", "t")
		configMap := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: kmsName}, Data: map[string]string{"vault": "address"}}
		Expect(live.Create(ctx, configMap)).To(Succeed())
		DeferCleanup(func(ctx context.Context) { Expect(live.Delete(ctx, configMap)).To(Succeed()) })
	})

	expectNoCopies := func(ctx context.Context) {
		GinkgoHelper()
		secret, configMap := copiesIn(ctx, velero)
		Expect(secret).To(BeNil())
		Expect(configMap).To(BeNil())
	}

	It("has what its driver needs beside the backupPVC, until that is gone", func(ctx context.Context) {
		t := newTrial(encrypted)
		t.advance(ctx, v2alpha1.PhaseInProgress)
		secret, configMap := copiesIn(ctx, velero)
		Expect(secret.Data).To(Equal(original.Data))
		Expect(secret.OwnerReferences).To(ConsistOf(HaveField("UID", t.upload(ctx).UID)))
		Expect(configMap.Data).To(HaveKeyWithValue("vault", "address"))

		t.endPod(ctx, corev1.PodSucceeded, goodResult)
		t.settle(ctx)
		secret, _ = copiesIn(ctx, velero)
		Expect(secret).NotTo(BeNil(), "the driver may need it to delete the volume")
		t.settleAll(ctx)
		t.expectNothingLeft(ctx)
		expectNoCopies(ctx)
		secret, configMap = copiesIn(ctx, "shop")
		Expect(secret.UID).To(Equal(original.UID))
		Expect(configMap).NotTo(BeNil())
	})

	It("shares it with others of its namespace, also across a restart", func(ctx context.Context) {
		first, second := newTrial(encrypted), newTrial(encrypted)
		first.advance(ctx, v2alpha1.PhaseAccepted)
		second.advance(ctx, v2alpha1.PhaseAccepted)
		secret, _ := copiesIn(ctx, velero)
		Expect(secret.OwnerReferences).To(HaveLen(2))
		first.abandon(ctx)
		secret, _ = copiesIn(ctx, velero)
		Expect(secret.OwnerReferences).To(ConsistOf(HaveField("UID", second.upload(ctx).UID)))
		second.restart()
		second.abandon(ctx)
		expectNoCopies(ctx)
	})

	It("waits for one of another namespace with other content", func(ctx context.Context) {
		t := newTrial(encrypted)
		t.advance(ctx, v2alpha1.PhaseAccepted)
		secret, _ := copiesIn(ctx, velero)
		patched := secret.DeepCopy()
		patched.Data["token"] = []byte("that of the bank")
		Expect(live.Patch(ctx, patched, client.MergeFrom(secret))).To(Succeed())

		other := newTrial(encrypted)
		other.advance(ctx, v2alpha1.PhaseAccepted)
		Expect(other.status(ctx).Message).To(Equal("secret kms-token of namespace shop must wait: " +
			"a copy with other content, from namespace shop, is in use by DataUpload " + t.name))
		Expect(apierrors.IsNotFound(live.Get(ctx, other.key(), &corev1.PersistentVolumeClaim{}))).To(BeTrue())
		t.abandon(ctx)
		other.settle(ctx)
		Expect(live.Get(ctx, other.key(), &corev1.PersistentVolumeClaim{})).To(Succeed())
		other.abandon(ctx)
		expectNoCopies(ctx)
	})

	It("never touches one that somebody else made", func(ctx context.Context) {
		own := makeToken(ctx, velero, "Velero's own")
		t := newTrial(encrypted)
		t.advance(ctx, v2alpha1.PhaseAccepted)
		Expect(t.status(ctx).Message).To(Equal("secret kms-token cannot be copied from namespace shop: in namespace velero there is one with other content"))
		Expect(t.events()).To(ContainElement(HavePrefix("Warning NameTaken")))
		t.abandon(ctx)
		secret, _ := copiesIn(ctx, velero)
		Expect(secret.ResourceVersion).To(Equal(own.ResourceVersion))
	})

	It("goes by one of the same content that somebody else made, and leaves it there", func(ctx context.Context) {
		own := makeToken(ctx, velero, "t")
		t := newTrial(encrypted)
		t.advance(ctx, v2alpha1.PhaseInProgress)
		t.abandon(ctx)
		secret, _ := copiesIn(ctx, velero)
		Expect(secret.ResourceVersion).To(Equal(own.ResourceVersion))
	})

	It("names what is missing", func(ctx context.Context) {
		Expect(live.Delete(ctx, original)).To(Succeed())
		t := newTrial(encrypted)
		t.advance(ctx, v2alpha1.PhaseAccepted)
		Expect(t.status(ctx).Message).To(Equal("secret shop/kms-token, which backupPVC.fast names, not found"))
		Expect(t.events()).To(ContainElement(HavePrefix("Warning OriginalMissing")))
		t.abandon(ctx)
		expectNoCopies(ctx)
	})

	It("says which right the agent lacks", func(ctx context.Context) {
		t := newTrial(encrypted)
		t.r.Live = withoutSecretsOfOthers(ctx)
		t.advance(ctx, v2alpha1.PhaseAccepted)
		Expect(t.status(ctx).Message).To(And(
			HavePrefix("reading secret shop/kms-token: secrets \"kms-token\" is forbidden"), ContainSubstring(`cannot get resource "secrets"`)))
		Expect(t.events()).To(ContainElement(HavePrefix("Warning AccessDenied")))
		t.abandon(ctx)
		t.expectNothingLeft(ctx)
	})
})

// withoutSecretsOfOthers reads as an agent that may read everything but Secrets, and these in Velero's namespace only.
func withoutSecretsOfOthers(ctx context.Context) client.Client {
	const user = "agent-without-secrets"
	subjects := []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user}}
	read := []string{"get", "list"}
	Expect(live.Create(ctx, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: user}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"configmaps", "pods", "persistentvolumeclaims", "persistentvolumes", "namespaces"}, Verbs: read},
		{APIGroups: []string{"snapshot.storage.k8s.io", "apps", "storage.k8s.io", "velero.io"}, Resources: []string{"*"}, Verbs: read},
	}})).To(Succeed())
	Expect(live.Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: user}, Subjects: subjects,
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: user},
	})).To(Succeed())
	Expect(live.Create(ctx, &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Namespace: velero, Name: user},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"get"}}},
	})).To(Succeed())
	Expect(live.Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: velero, Name: user}, Subjects: subjects,
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: user},
	})).To(Succeed())
	limited := rest.CopyConfig(plane.Config)
	limited.Impersonate = rest.ImpersonationConfig{UserName: user}
	c, err := client.New(limited, client.Options{Scheme: live.Scheme()})
	Expect(err).NotTo(HaveOccurred())
	Eventually(func() error {
		return c.Get(ctx, client.ObjectKey{Namespace: velero, Name: "nothing"}, &corev1.ConfigMap{})
	}).Should(Satisfy(apierrors.IsNotFound), "the authorizer has seen the roles")
	Eventually(func() error {
		return c.Get(ctx, client.ObjectKey{Namespace: velero, Name: "nothing"}, &corev1.Secret{})
	}).Should(Satisfy(apierrors.IsNotFound))
	return c
}
