package live_test

import (
	"bytes"
	"context"
	"errors"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/sirupsen/logrus"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8sschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/node-agent/node-agent/pkg/config"
	"github.com/node-agent/node-agent/pkg/config/live"
	"github.com/node-agent/node-agent/pkg/config/schema"
)

// cluster answers with its one ConfigMap.
type cluster struct {
	client.Reader
	configMap *corev1.ConfigMap
	classes   []storagev1.StorageClass
	err       error
}

func (c *cluster) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	list.(*storagev1.StorageClassList).Items = c.classes
	return nil
}

func (c *cluster) Get(_ context.Context, key client.ObjectKey, obj client.Object, _ ...client.GetOption) error {
	switch {
	case c.err != nil:
		return c.err
	case c.configMap == nil || key != client.ObjectKeyFromObject(c.configMap):
		return apierrors.NewNotFound(k8sschema.GroupResource{Resource: "configmaps"}, key.Name)
	}
	c.configMap.DeepCopyInto(obj.(*corev1.ConfigMap))
	return nil
}

func (c *cluster) set(version, text string) {
	c.configMap = &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "velero", Name: "agent", ResourceVersion: version}, Data: map[string]string{"c": text},
	}
}

// metric returns the value of a gauge.
func metric(name string) float64 {
	GinkgoHelper()
	families, err := metrics.Registry.Gather()
	Expect(err).NotTo(HaveOccurred())
	for _, family := range families {
		if family.GetName() == name {
			return family.GetMetric()[0].GetGauge().GetValue()
		}
	}
	Fail("no metric " + name)
	return 0
}

var _ = Describe("the configuration in force", func() {
	var (
		api           *cluster
		configuration *live.Configuration
		recorder      *events.FakeRecorder
		log           bytes.Buffer
	)
	BeforeEach(func() {
		api = &cluster{}
		recorder = events.NewFakeRecorder(20)
		log.Reset()
		logger := logrus.New()
		logger.SetOutput(&log)
		configuration = &live.Configuration{ConfigMap: client.ObjectKey{Namespace: "velero", Name: "agent"}, Log: logger}
	})
	told := func() []string {
		var all []string
		for len(recorder.Events) > 0 {
			all = append(all, <-recorder.Events)
		}
		return all
	}
	load := func(ctx context.Context) {
		GinkgoHelper()
		Expect(configuration.Load(ctx, api)).To(Succeed())
	}
	// lead is also what a change leads to: the ConfigMap is looked at.
	lead := func(ctx context.Context) {
		GinkgoHelper()
		Expect(configuration.Lead(ctx, api, recorder)).To(Succeed())
	}
	isReadOnly := func() bool { return configuration.Config().BackupPVC["gold"].ReadOnly }
	const readOnly, wrong = `{"backupPVC": {"gold": {"readOnly": true}}}`, `{"backupPVC": 1}`

	It("is the default for ever where no ConfigMap is named", func(ctx context.Context) {
		configuration.ConfigMap.Name = ""
		load(ctx)
		lead(ctx)
		Expect(configuration.Config()).To(Equal(config.Default()))
		Expect(told()).To(BeEmpty())
	})

	DescribeTable("is not there at start if the ConfigMap", func(ctx context.Context, arrange func(), want string) {
		arrange()
		Expect(configuration.Load(ctx, api)).To(MatchError(want))
	},
		Entry("does not exist", func() {}, "configmap velero/agent, named by --node-agent-configmap, does not exist"),
		Entry("cannot be read", func() { api.err = errors.New("no") }, "reading configmap velero/agent, named by --node-agent-configmap: no"),
		Entry("is wrong", func() { api.set("1", wrong) }, "configmap velero/agent, key c:1:15: backupPVC: found number 1, expected an object"),
	)

	It("is what has changed between start and lead", func(ctx context.Context) {
		api.set("1", "{}")
		load(ctx)
		api.set("2", readOnly)
		lead(ctx)
		Expect(isReadOnly()).To(BeTrue())
		Expect(told()).To(ConsistOf("Normal ConfigurationInForce in force for DataUploads and DataDownloads that are accepted from now on"))
	})

	It("stays the last good one while the ConfigMap is wrong, and says so once", func(ctx context.Context) {
		api.set("1", readOnly)
		load(ctx)
		lead(ctx)
		told()
		hash := metric("node_agent_config_hash")
		api.set("2", wrong)
		lead(ctx)
		api.configMap.ResourceVersion = "3" // somebody labelled it
		lead(ctx)
		Expect(isReadOnly()).To(BeTrue())
		Expect(told()).To(Equal([]string{"Warning InvalidConfiguration the last good configuration stays in force: " +
			"configmap velero/agent, key c:1:15: backupPVC: found number 1, expected an object"}))
		Expect(strings.Count(log.String(), "stays in force")).To(Equal(1))
		Expect(metric("node_agent_config_valid")).To(BeZero())
		Expect(metric("node_agent_config_hash")).To(Equal(hash))

		api.set("4", "{}")
		lead(ctx)
		Expect(isReadOnly()).To(BeFalse())
		Expect(metric("node_agent_config_valid")).To(BeEquivalentTo(1))
		Expect(metric("node_agent_config_hash")).NotTo(Equal(hash))
	})

	It("is good again when what was wrong is taken back", func(ctx context.Context) {
		api.set("1", readOnly)
		load(ctx)
		lead(ctx)
		api.set("2", wrong)
		lead(ctx)
		api.set("3", readOnly)
		lead(ctx)
		Expect(metric("node_agent_config_valid")).To(BeEquivalentTo(1))
	})

	It("stays when the ConfigMap is deleted, and says so once", func(ctx context.Context) {
		api.set("1", readOnly)
		load(ctx)
		lead(ctx)
		told()
		api.configMap = nil
		lead(ctx)
		lead(ctx)
		Expect(isReadOnly()).To(BeTrue())
		Expect(told()).To(ConsistOf(HavePrefix("Warning ConfigMapDeleted the ConfigMap does not exist any more")))
		Expect(metric("node_agent_config_valid")).To(BeZero())
		api.set("7", readOnly)
		lead(ctx)
		Expect(metric("node_agent_config_valid")).To(BeEquivalentTo(1))
		Expect(told()).To(ConsistOf(HavePrefix("Normal ConfigurationInForce")))
	})

	It("stays when the API server does not answer", func(ctx context.Context) {
		api.set("1", readOnly)
		load(ctx)
		api.err = errors.New("busy")
		Expect(configuration.Lead(ctx, api, recorder)).To(MatchError("reading configmap velero/agent: busy"))
		Expect(isReadOnly()).To(BeTrue())
	})

	It("tells of unknown keys where they are no error", func(ctx context.Context) {
		configuration.Decoder.UnknownKeys = schema.WarnOfUnknownKeys
		api.set("1", `{"a1": 1, "b1": 1, "c1": 1, "d1": 1, "e1": 1, "f1": 1, "g1": 1}`)
		load(ctx)
		Expect(metric("node_agent_config_unknown_keys")).To(BeEquivalentTo(7))
		lead(ctx)
		all := told()
		Expect(all).To(HaveLen(2))
		Expect(all[1]).To(HavePrefix("Warning UnknownKeys configmap velero/agent, key c:1:2: a1: unknown key, ignored: expected"))
		Expect(strings.TrimPrefix(all[1], "Warning UnknownKeys ")).To(HaveLen(1024), "what an Event can hold")
		Expect(strings.Count(log.String(), "unknown key, ignored")).To(Equal(7))
	})

	Describe("and the storage classes that it names", func() {
		class := func(name string) storagev1.StorageClass {
			return storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Provisioner: "csi.example.com"}
		}
		look := func(ctx context.Context) []string {
			GinkgoHelper()
			Expect(configuration.Look(ctx, api)).To(Succeed())
			return told()
		}
		const named = `{"backupPVC": {"gold": {"storageClass": "silver"}}}`
		unfit := ContainElement("Warning StorageClassesUnfit configmap velero/agent, key c:1:25: backupPVC.gold.storageClass: " +
			"storage class silver does not exist: DataUploads would be canceled at the prepare timeout")

		It("are told once while one does not exist, when it exists, and when it is gone", func(ctx context.Context) {
			api.classes = []storagev1.StorageClass{class("gold")}
			api.set("1", named)
			load(ctx)
			lead(ctx)
			told()
			Expect(look(ctx)).To(unfit)
			Expect(log.String()).To(ContainSubstring("reason=StorageClassesUnfit"))
			Expect(look(ctx)).To(BeEmpty())
			api.classes = append(api.classes, class("silver"))
			Expect(look(ctx)).To(ConsistOf("Normal StorageClassesFit the storage classes that it names exist and fit"))
			Expect(look(ctx)).To(BeEmpty())
			api.classes = api.classes[:1]
			Expect(look(ctx)).To(unfit)
		})

		It("are told again for another configuration, and not for one that is not in force", func(ctx context.Context) {
			api.classes = []storagev1.StorageClass{class("gold")}
			api.set("1", "{}")
			load(ctx)
			lead(ctx)
			told()
			Expect(look(ctx)).To(BeEmpty())
			api.set("2", named)
			Expect(look(ctx)).To(And(unfit, HaveLen(2)))
			api.set("3", wrong)
			Expect(look(ctx)).To(ConsistOf(HavePrefix("Warning InvalidConfiguration")))
			api.configMap = nil
			Expect(look(ctx)).To(ConsistOf(HavePrefix("Warning ConfigMapDeleted")))
		})
	})
})
