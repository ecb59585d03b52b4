package integration

import (
	"context"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/config"
	"github.com/node-agent/node-agent/pkg/config/manifest"
	"github.com/node-agent/node-agent/pkg/config/schema"
)

const configAnnotation = "node-agent.io/config"

// configMapOf makes the configuration of a ConfigMap with one version.
func configMapOf(version, text string) *config.Config {
	GinkgoHelper()
	checked := manifest.CheckConfigMap(schema.Decoder{}, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: velero, Name: "agent-config", ResourceVersion: version},
		Data:       map[string]string{"c.yaml": text},
	})
	Expect(checked.Err()).NotTo(HaveOccurred())
	return checked.Config
}

var _ = Describe("a DataUpload whose configuration changes", func() {
	const readOnly = "backupPVC:\n  fast: {readOnly: true, spcNoRelabeling: true}\n"
	var current *config.Config
	var t *trial
	BeforeEach(func(ctx context.Context) {
		current = configMapOf("1", readOnly)
		t = newTrial(func(t *trial) { t.r.Config = func() *config.Config { return current } })
		readyRepository(ctx)
		t.makeSource(ctx)
		t.create(ctx)
		t.settle(ctx)
		Expect(t.status(ctx).Phase).To(Equal(v2alpha1.PhaseAccepted))
		DeferCleanup(t.abandon)
	})

	It("keeps the one that it was accepted with, also after a restart", func(ctx context.Context) {
		current = configMapOf("2", "{}")
		t.restart()
		t.bindAlias(ctx)
		t.settle(ctx)
		t.provision(ctx)
		pvc, pod := &corev1.PersistentVolumeClaim{}, &corev1.Pod{}
		Expect(live.Get(ctx, t.key(), pvc)).To(Succeed())
		Expect(live.Get(ctx, t.key(), pod)).To(Succeed())
		Expect(pvc.Spec.AccessModes).To(Equal([]corev1.PersistentVolumeAccessMode{corev1.ReadOnlyMany}))
		Expect(pod.Spec.SecurityContext.SELinuxOptions.Type).To(Equal("spc_t"))

		other := newTrial(func(o *trial) { o.r.Config = t.r.Config })
		other.advance(ctx, v2alpha1.PhaseAccepted)
		DeferCleanup(other.abandon)
		Expect(live.Get(ctx, other.key(), pvc)).To(Succeed())
		Expect(pvc.Spec.AccessModes).To(Equal([]corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}))
	})

	It("says which one it has in its annotations and events", func(ctx context.Context) {
		Expect(t.upload(ctx).Annotations[configAnnotation]).To(MatchJSON(
			`{"source": "configmap velero/agent-config (resource version 1)", "backupPVC": {"readOnly": true, "spcNoRelabeling": true}}`))
		Expect(t.events()).To(ContainElement(
			"Normal Accepted configuration of configmap velero/agent-config (resource version 1): readOnly, spcNoRelabeling"))
	})

	It("goes on with the present one if its own was damaged", func(ctx context.Context) {
		du := t.upload(ctx)
		before := du.DeepCopy()
		du.Annotations[configAnnotation] = "{"
		Expect(live.Patch(ctx, du, client.MergeFrom(before))).To(Succeed())
		current = configMapOf("2", "{}")
		t.bindAlias(ctx)
		t.settle(ctx)
		pvc := &corev1.PersistentVolumeClaim{}
		Expect(live.Get(ctx, t.key(), pvc)).To(Succeed())
		Expect(pvc.Spec.AccessModes).To(Equal([]corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}))
	})
})

var _ = It("accepts a DataUpload whose configuration is too large to be kept", func(ctx context.Context) {
	huge := configMapOf("1", "podAnnotations: {a: "+strings.Repeat("x", 200<<10)+"}\n")
	t := newTrial(func(t *trial) { t.r.Config = func() *config.Config { return huge } })
	readyRepository(ctx)
	t.makeSource(ctx)
	t.create(ctx)
	t.settle(ctx)
	DeferCleanup(t.abandon)
	du := t.upload(ctx)
	Expect(du.Status.Phase).To(Equal(v2alpha1.PhaseAccepted))
	Expect(du.Annotations).NotTo(HaveKey(configAnnotation))
})
