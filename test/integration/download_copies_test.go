package integration

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/config"
	"github.com/node-agent/node-agent/test/cluster"
)

var _ = Describe("a restore into an encrypted volume", func() {
	encrypted := downloadConfigured(func(c *config.Config) {
		c.RestorePVC = &config.RestorePVC{SecretNames: []string{tokenName}, ConfigMapNames: []string{kmsName}}
	})
	BeforeEach(func(ctx context.Context) {
		configMap := &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: cluster.Shop, Name: kmsName}, Data: map[string]string{"vault": "address"},
		}
		Expect(live.Create(ctx, configMap)).To(Succeed())
		DeferCleanup(func(ctx context.Context) { Expect(live.Delete(ctx, configMap)).To(Succeed()) })
	})

	It("has what its driver needs beside the restorePVC, until that is gone", func(ctx context.Context) {
		original := makeToken(ctx, cluster.Shop, "t")
		d := newDownload(encrypted)
		d.advance(ctx, v2alpha1.PhaseInProgress)
		secret, configMap := copiesIn(ctx, velero)
		Expect(secret.Data).To(Equal(original.Data))
		Expect(secret.OwnerReferences).To(ConsistOf(And(HaveField("Kind", "DataDownload"), HaveField("UID", d.get(ctx).UID))))
		Expect(configMap.Data).To(HaveKeyWithValue("vault", "address"))

		Expect(d.EndPod(ctx, 0, "Completed", goodRestore)).To(BeTrue())
		d.settleAll(ctx)
		d.expectHandedOver(ctx)
		d.expectNothingMade(ctx)
		secret, configMap = copiesIn(ctx, velero)
		Expect(secret).To(BeNil())
		Expect(configMap).To(BeNil())
		secret, configMap = copiesIn(ctx, cluster.Shop)
		Expect(secret.UID).To(Equal(original.UID))
		Expect(configMap).NotTo(BeNil())
	})

	It("goes on without what is missing, for its driver may not need it, and gets it later", func(ctx context.Context) {
		d := newDownload(encrypted)
		d.advance(ctx, v2alpha1.PhaseAccepted)
		Expect(live.Get(ctx, d.Key(), &corev1.PersistentVolumeClaim{})).To(Succeed())
		secret, configMap := copiesIn(ctx, velero)
		Expect(secret).To(BeNil())
		Expect(configMap).NotTo(BeNil())

		makeToken(ctx, cluster.Shop, "t")
		d.settle(ctx)
		secret, _ = copiesIn(ctx, velero)
		Expect(secret).NotTo(BeNil())
		d.cancelIt(ctx)
		d.settleAll(ctx)
		d.expectNothingLeft(ctx)
		secret, configMap = copiesIn(ctx, velero)
		Expect(secret).To(BeNil())
		Expect(configMap).To(BeNil())
	})

	It("shares it with a backup", func(ctx context.Context) {
		makeToken(ctx, cluster.Shop, "t")
		t, d := newTrial(backupPVC(config.BackupPVC{SecretNames: []string{tokenName}})), newDownload(encrypted)
		t.advance(ctx, v2alpha1.PhaseAccepted)
		d.advance(ctx, v2alpha1.PhaseAccepted)
		secret, _ := copiesIn(ctx, velero)
		Expect(secret.OwnerReferences).To(ConsistOf(HaveField("Kind", "DataUpload"), HaveField("Kind", "DataDownload")))
		t.abandon(ctx)
		secret, _ = copiesIn(ctx, velero)
		Expect(secret.OwnerReferences).To(ConsistOf(HaveField("Kind", "DataDownload")))
		d.cancelIt(ctx)
		d.settleAll(ctx)
		secret, _ = copiesIn(ctx, velero)
		Expect(secret).To(BeNil())
	})

	It("does not touch one that somebody else made", func(ctx context.Context) {
		makeToken(ctx, cluster.Shop, "t")
		own := makeToken(ctx, velero, "Velero's own")
		d := newDownload(encrypted)
		d.advance(ctx, v2alpha1.PhaseAccepted)
		Expect(d.get(ctx).Status.Message).To(HavePrefix("secret kms-token cannot be copied from namespace shop"))
		Expect(live.Get(ctx, d.Key(), &corev1.PersistentVolumeClaim{})).NotTo(Succeed())
		d.cancelIt(ctx)
		d.settleAll(ctx)
		d.expectNothingLeft(ctx)
		Expect(live.Get(ctx, client.ObjectKeyFromObject(own), own)).To(Succeed())
	})
})
