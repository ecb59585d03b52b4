package integration

import (
	"context"
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gexec"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
)

// liveWithin is how soon a change of the ConfigMap must be in force.
const liveWithin = 5 * time.Second

var _ = Describe("a running agent whose ConfigMap changes", Ordered, func() {
	const name = "live-config"
	var session *gexec.Session
	var metricsAddress string
	var configMap *corev1.ConfigMap

	BeforeAll(prepareAgents)
	BeforeAll(func(ctx context.Context) {
		configMap = &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: agentNamespace, Name: name}}
		configMap.Data = map[string]string{"c.yaml": "backupPVC:\n  fast: {readOnly: true}\n"}
		Expect(live.Create(ctx, configMap)).To(Succeed())
		DeferCleanup(func(ctx context.Context) { Expect(client.IgnoreNotFound(live.Delete(ctx, configMap))).To(Succeed()) })
		session, _, metricsAddress = startAgent("--node-agent-configmap="+name, "--config-unknown-keys=warn")
		DeferCleanup(func() { session.Terminate().Wait(cacheDelay) }) // which gives the lease back
	})

	// change writes another configuration. The old object is not read again: nobody else writes it.
	change := func(ctx context.Context, text string) {
		GinkgoHelper()
		configMap.Data = map[string]string{"c.yaml": text}
		Expect(live.Update(ctx, configMap)).To(Succeed())
	}
	published := func() string { _, body := get("http://" + metricsAddress + "/metrics"); return body }
	told := func(reason string) func(context.Context) []string {
		return func(ctx context.Context) []string { return notesAbout(ctx, name, reason) }
	}
	inForce := func(ctx context.Context) {
		GinkgoHelper()
		Eventually(func(ctx context.Context) []string { return versionsInForce(ctx, name) }).
			WithContext(ctx).WithTimeout(liveWithin).Should(ContainElement(configMap.ResourceVersion))
	}

	It("uses the one that is there when it begins to lead", func(ctx context.Context) {
		Eventually(func(ctx context.Context) []string { return versionsInForce(ctx, name) }).
			WithContext(ctx).Should(ContainElement(configMap.ResourceVersion))
		Expect(acceptedWith(ctx)).To(And(ContainSubstring(configMap.ResourceVersion), ContainSubstring(`"readOnly":true`)))
		Expect(published()).To(And(ContainSubstring("node_agent_config_valid 1"), ContainSubstring("node_agent_config_unknown_keys 0")))
	})

	It("uses a changed one for what it accepts afterwards", func(ctx context.Context) {
		change(ctx, "backupPVC:\n  fast: {storageClass: copy}\n")
		inForce(ctx)
		Expect(acceptedWith(ctx)).To(And(ContainSubstring(configMap.ResourceVersion), ContainSubstring(`"storageClass":"copy"`),
			Not(ContainSubstring("readOnly"))))
	})

	It("goes on with the last good one while it is wrong, and says so once", func(ctx context.Context) {
		good := configMap.ResourceVersion
		change(ctx, "backupPVC:\n  fast: {readOnly: perhaps}\n")
		Eventually(published).WithTimeout(liveWithin).Should(ContainSubstring("node_agent_config_valid 0"))
		Eventually(told("InvalidConfiguration")).WithContext(ctx).Should(ConsistOf(
			`the last good configuration stays in force: configmap agents/live-config, key c.yaml:2:20: backupPVC.fast.readOnly: ` +
				`found string "perhaps", expected true or false`))
		configMap.Labels = map[string]string{"touched": "yes"}
		Expect(live.Update(ctx, configMap)).To(Succeed())
		Expect(acceptedWith(ctx)).To(And(ContainSubstring(good), ContainSubstring(`"storageClass":"copy"`)))
		Expect(strings.Count(string(session.Out.Contents()), "stays in force")).To(Equal(1))
		Expect(told("InvalidConfiguration")(ctx)).To(HaveLen(1))
	})

	It("goes on with the last good one when it is deleted", func(ctx context.Context) {
		Expect(live.Delete(ctx, configMap)).To(Succeed())
		Eventually(told("ConfigMapDeleted")).WithContext(ctx).WithTimeout(liveWithin).Should(HaveLen(1))
		Expect(published()).To(ContainSubstring("node_agent_config_valid 0"))
		Expect(acceptedWith(ctx)).To(ContainSubstring(`"storageClass":"copy"`))
		Expect(session).NotTo(gexec.Exit())
	})

	It("takes it again, and tells of unknown keys where they are no error", func(ctx context.Context) {
		configMap = &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: agentNamespace, Name: name}}
		configMap.Data = map[string]string{"c.yaml": "prepareQueueLength: 3\n"}
		Expect(live.Create(ctx, configMap)).To(Succeed())
		inForce(ctx)
		Expect(published()).To(And(ContainSubstring("node_agent_config_valid 1"), ContainSubstring("node_agent_config_unknown_keys 1")))
		Eventually(told("UnknownKeys")).WithContext(ctx).Should(ConsistOf(
			"configmap agents/live-config, key c.yaml:1:1: prepareQueueLength: misplaced key, ignored; move it to loadConcurrency.prepareQueueLength"))
		Expect(string(session.Out.Contents())).To(ContainSubstring("misplaced key, ignored"))
	})

	It("tells of a storage class that does not exist, and when it is made and deleted", func(ctx context.Context) {
		const missing = "storage class not-yet does not exist"
		change(ctx, "backupPVC:\n  not-yet: {storageClass: not-yet}\n")
		inForce(ctx)
		Eventually(told("StorageClassesUnfit")).WithContext(ctx).Should(ContainElement(ContainSubstring(missing)))
		class := &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "not-yet"}, Provisioner: "csi.example.com"}
		Expect(live.Create(ctx, class)).To(Succeed())
		DeferCleanup(func(ctx context.Context) { Expect(client.IgnoreNotFound(live.Delete(ctx, class))).To(Succeed()) })
		Eventually(func(ctx context.Context) []eventsv1.Event { return eventsAbout(ctx, name, "StorageClassesFit") }).
			WithContext(ctx).ShouldNot(BeEmpty())
		before := strings.Count(string(session.Out.Contents()), missing)
		Expect(live.Delete(ctx, class)).To(Succeed())
		Eventually(func() int { return strings.Count(string(session.Out.Contents()), missing) }).Should(BeNumerically(">", before))
	})

	It("lets those go on at once that a limit held back", func(ctx context.Context) {
		change(ctx, "loadConcurrency: {prepareQueueLength: 1}\n")
		inForce(ctx)
		Eventually(statusNow(ctx, newUploadOfAgents(ctx))).Should(HaveField("Phase", v2alpha1.PhaseAccepted))
		waiting := newUploadOfAgents(ctx)
		Eventually(statusNow(ctx, waiting)).Should(And(HaveField("Phase", BeEmpty()), HaveField("Message", HavePrefix("waiting to be prepared: place 1"))))
		change(ctx, "loadConcurrency: {prepareQueueLength: 2}\n")
		Eventually(statusNow(ctx, waiting)).WithTimeout(liveWithin).Should(HaveField("Phase", v2alpha1.PhaseAccepted))
	})
})

// eventsAbout returns the Events about a ConfigMap.
func eventsAbout(ctx context.Context, name, reason string) []eventsv1.Event {
	GinkgoHelper()
	list := &eventsv1.EventList{}
	Expect(live.List(ctx, list, client.InNamespace(agentNamespace))).To(Succeed())
	var found []eventsv1.Event
	for _, event := range list.Items {
		if event.Regarding.Kind == "ConfigMap" && event.Regarding.Name == name && event.Reason == reason {
			found = append(found, event)
		}
	}
	return found
}

func notesAbout(ctx context.Context, name, reason string) []string {
	GinkgoHelper()
	var notes []string
	for _, event := range eventsAbout(ctx, name, reason) {
		Expect(event.Type).To(Equal(corev1.EventTypeWarning))
		notes = append(notes, event.Note)
	}
	return notes
}

// versionsInForce returns the resource versions of a ConfigMap that came into force.
func versionsInForce(ctx context.Context, name string) []string {
	GinkgoHelper()
	var versions []string
	for _, event := range eventsAbout(ctx, name, "ConfigurationInForce") {
		versions = append(versions, event.Regarding.ResourceVersion)
	}
	return versions
}

var uploadsOfAgents int

// newUploadOfAgents makes a DataUpload for the running agent. Its snapshot does not exist, so it gets no further than Accepted.
func newUploadOfAgents(ctx context.Context) *v2alpha1.DataUpload {
	GinkgoHelper()
	uploadsOfAgents++
	du := &v2alpha1.DataUpload{
		ObjectMeta: metav1.ObjectMeta{Namespace: agentNamespace, Name: fmt.Sprintf("agents-%d", uploadsOfAgents)},
		Spec: v2alpha1.DataUploadSpec{
			SnapshotType: v2alpha1.SnapshotTypeCSI, SourceNamespace: "shop", SourcePVC: "none", BackupStorageLocation: goodPlace,
			CSISnapshot:      &v2alpha1.CSISnapshotSpec{VolumeSnapshot: "none", StorageClass: fastClass},
			OperationTimeout: metav1.Duration{Duration: time.Minute},
		},
	}
	Expect(live.Create(ctx, du)).To(Succeed())
	DeferCleanup(func(ctx context.Context) {
		Expect(client.IgnoreNotFound(live.Delete(ctx, du))).To(Succeed())
		Eventually(func() error { return live.Get(ctx, client.ObjectKeyFromObject(du), du) }).Should(Satisfy(apierrors.IsNotFound))
	})
	return du
}

// statusNow reads the status of a DataUpload whenever it is asked.
func statusNow(ctx context.Context, du *v2alpha1.DataUpload) func() v2alpha1.DataUploadStatus {
	return func() v2alpha1.DataUploadStatus {
		Expect(live.Get(ctx, client.ObjectKeyFromObject(du), du)).To(Succeed())
		return du.Status
	}
}

// acceptedWith lets the running agent accept a DataUpload, and returns the configuration that it got.
func acceptedWith(ctx context.Context) string {
	GinkgoHelper()
	du := newUploadOfAgents(ctx)
	Eventually(statusNow(ctx, du)).Should(HaveField("Phase", v2alpha1.PhaseAccepted))
	return du.Annotations[configAnnotation]
}
