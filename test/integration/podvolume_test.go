package integration

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gexec"
	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
	"github.com/node-agent/node-agent/pkg/controller/podvolume"
	"github.com/node-agent/node-agent/test/controlplane"
)

// podVolumes is a namespace of Velero with file-system backups, and with agents that see no others.
const podVolumes = "pod-volumes"

// crdOf is a CRD of Velero's that this project does not have.
func crdOf(kind string) *apiextensionsv1.CustomResourceDefinition {
	plural := strings.ToLower(kind) + "s"
	return &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: plural + "." + velerov1.GroupVersion.Group},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: velerov1.GroupVersion.Group, Scope: apiextensionsv1.NamespaceScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Kind: kind, ListKind: kind + "List", Plural: plural, Singular: strings.ToLower(kind)},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: velerov1.GroupVersion.Version, Served: true, Storage: true,
				Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{
					Type: "object", XPreserveUnknownFields: new(true),
				}},
			}},
		},
	}
}

// podVolume makes a PodVolumeBackup or PodVolumeRestore.
func podVolume(ctx context.Context, kind, name, phase string) *unstructured.Unstructured {
	GinkgoHelper()
	obj := &unstructured.Unstructured{}
	obj.SetGroupVersionKind(velerov1.GroupVersion.WithKind(kind))
	obj.SetNamespace(podVolumes)
	obj.SetName(name)
	if phase != "" {
		Expect(unstructured.SetNestedField(obj.Object, phase, "status", "phase")).To(Succeed())
	}
	Expect(live.Create(ctx, obj)).To(Succeed())
	DeferCleanup(func(ctx context.Context) { Expect(client.IgnoreNotFound(live.Delete(ctx, obj))).To(Succeed()) })
	return obj
}

// toldAbout are the Events about an object.
func toldAbout(ctx context.Context, obj client.Object) []corev1.Event {
	GinkgoHelper()
	list := &corev1.EventList{}
	selector := client.MatchingFields{"involvedObject.uid": string(obj.GetUID())}
	Expect(live.List(ctx, list, client.InNamespace(podVolumes), selector)).To(Succeed())
	return list.Items
}

// forbidding is the client of an agent that may not make Events.
type forbidding struct{ client.Client }

func (forbidding) Create(context.Context, client.Object, ...client.CreateOption) error {
	return apierrors.NewForbidden(corev1.Resource("events"), "x", nil)
}

var _ = Describe("file-system backups", Ordered, func() {
	var config string

	BeforeAll(func(ctx context.Context) {
		Expect(live.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: podVolumes}})).To(Succeed())
		config = asDaemonSet(ctx, podVolumes)
	})

	It("cost nothing where the cluster does not have them", func(ctx context.Context) {
		asked := 0
		counted := rest.CopyConfig(plane.Config)
		counted.Wrap(func(next http.RoundTripper) http.RoundTripper {
			return roundTripper(func(request *http.Request) (*http.Response, error) {
				if strings.Contains(request.URL.Path, "podvolume") {
					asked++
				}
				return next.RoundTrip(request)
			})
		})
		scheme, err := controlplane.Scheme()
		Expect(err).NotTo(HaveOccurred())
		mgr, err := ctrl.NewManager(counted, ctrl.Options{Scheme: scheme, Metrics: metricsserver.Options{BindAddress: "0"}})
		Expect(err).NotTo(HaveOccurred())
		log, said := logtest.NewNullLogger()
		Expect(podvolume.SetupWithManager(mgr, podvolume.Options{Namespace: podVolumes, Clock: clock.RealClock{}, Log: log})).To(Succeed())
		started, stop := context.WithTimeout(ctx, time.Second)
		defer stop()
		Expect(mgr.Start(started)).To(Succeed())
		Expect(asked).To(BeZero())
		Expect(said.AllEntries()).To(BeEmpty())
	})

	Context("where the cluster has them", func() {
		BeforeAll(func() {
			crds := []*apiextensionsv1.CustomResourceDefinition{crdOf("PodVolumeBackup"), crdOf("PodVolumeRestore")}
			options := envtest.CRDInstallOptions{CRDs: crds}
			_, err := envtest.InstallCRDs(plane.Config, options)
			Expect(err).NotTo(HaveOccurred())
			DeferCleanup(func() { Expect(envtest.UninstallCRDs(plane.Config, options)).To(Succeed()) })
		})

		reconcile := func(ctx context.Context, obj *unstructured.Unstructured, age time.Duration, writer client.Writer) (ctrl.Result, []*logrus.Entry) {
			GinkgoHelper()
			log, said := logtest.NewNullLogger()
			r := &podvolume.Reconciler{
				Kind: obj.GetKind(), Reader: live, Writer: writer, NodeName: nodeName, Log: log,
				Clock: clocktesting.NewFakePassiveClock(obj.GetCreationTimestamp().Add(age)),
			}
			result, err := r.Reconcile(ctx, ctrl.Request{NamespacedName: client.ObjectKeyFromObject(obj)})
			Expect(err).NotTo(HaveOccurred())
			return result, said.AllEntries()
		}

		DescribeTable("are told once that nobody serves them, and what to do", func(ctx context.Context, kind, field, uploader, words string) {
			obj := podVolume(ctx, kind, "new", "")
			Expect(unstructured.SetNestedField(obj.Object, uploader, "spec", "uploaderType")).To(Succeed())
			Expect(live.Update(ctx, obj)).To(Succeed())
			result, said := reconcile(ctx, obj, 9*time.Second, live)
			Expect(result.RequeueAfter).To(Equal(time.Second), "stock Velero's agent may still begin")
			Expect(said).To(BeEmpty())

			_, said = reconcile(ctx, obj, 10*time.Second, live)
			Expect(toldAbout(ctx, obj)).To(ConsistOf(And(HaveField("Type", corev1.EventTypeWarning), HaveField("Reason", "NotSupported"),
				HaveField("Message", ContainSubstring(words)), HaveField("InvolvedObject.Kind", kind), HaveField("InvolvedObject.Name", "new"))))
			Expect(said).To(ConsistOf(And(HaveField("Level", logrus.WarnLevel), HaveField("Message", ContainSubstring(words)),
				HaveField("Data", HaveKeyWithValue(field, podVolumes+"/new")))))

			By("not again, also by the agent that leads next")
			_, said = reconcile(ctx, obj, time.Hour, live)
			Expect(said).To(BeEmpty())
			Expect(toldAbout(ctx, obj)).To(HaveLen(1))
		},
			Entry("backup", "PodVolumeBackup", "podVolumeBackup", "kopia", "--snapshot-move-data"),
			Entry("restore", "PodVolumeRestore", "podVolumeRestore", "kopia", "and this restore goes on"),
			Entry("restore of what restic has backed up", "PodVolumeRestore", "podVolumeRestore", "restic", "and this restore goes on"),
		)

		DescribeTable("are left alone that somebody serves, or has served", func(ctx context.Context, phase string) {
			obj := podVolume(ctx, "PodVolumeBackup", strings.ToLower(phase), phase)
			result, said := reconcile(ctx, obj, time.Hour, live)
			Expect(result).To(BeZero())
			Expect(said).To(BeEmpty())
			Expect(toldAbout(ctx, obj)).To(BeEmpty())
		}, Entry(nil, "Accepted"), Entry(nil, "Prepared"), Entry(nil, "InProgress"), Entry(nil, "Canceling"), Entry(nil, "Canceled"),
			Entry(nil, "Completed"), Entry(nil, "Failed"))

		It("are told in the log where Events are forbidden", func(ctx context.Context) {
			_, said := reconcile(ctx, podVolume(ctx, "PodVolumeBackup", "forbidden", "New"), time.Minute, forbidding{live})
			Expect(said).To(HaveLen(1))
		})

		It("are told by the program, with the rights that it has", func(ctx context.Context) {
			done := podVolume(ctx, "PodVolumeBackup", "done", "Completed")
			waits := podVolume(ctx, "PodVolumeRestore", "waits", "New")
			session, _, _ := startAgent("--kubeconfig", config, "-n", podVolumes)
			later := podVolume(ctx, "PodVolumeBackup", "later", "")
			for _, obj := range []client.Object{waits, later} {
				Eventually(func() []corev1.Event { return toldAbout(ctx, obj) }).WithTimeout(30 * time.Second).Should(HaveLen(1))
			}
			Expect(toldAbout(ctx, done)).To(BeEmpty())
			Eventually(func() string { return string(session.Out.Contents()) }).Should(And(
				ContainSubstring("podVolumeBackup=pod-volumes/later"), ContainSubstring("podVolumeRestore=pod-volumes/waits")))
			Expect(string(session.Out.Contents())).NotTo(ContainSubstring("pod-volumes/done"))
			session.Terminate()
			Eventually(session).Should(gexec.Exit(0))
		})

		It("keep nobody from working where the right to see them is missing", func(ctx context.Context) {
			scheme, err := controlplane.Scheme()
			Expect(err).NotTo(HaveOccurred())
			nobody := rest.CopyConfig(plane.Config)
			nobody.Impersonate = rest.ImpersonationConfig{UserName: "system:serviceaccount:" + podVolumes + ":nobody", Groups: []string{"system:authenticated"}}
			mgr, err := ctrl.NewManager(nobody, ctrl.Options{Scheme: scheme, Metrics: metricsserver.Options{BindAddress: "0"}})
			Expect(err).NotTo(HaveOccurred())
			log, said := logtest.NewNullLogger()
			Expect(podvolume.SetupWithManager(mgr, podvolume.Options{Namespace: podVolumes, Clock: clock.RealClock{}, Log: log})).To(Succeed())
			started, stop := context.WithTimeout(ctx, 3*time.Second)
			defer stop()
			Expect(mgr.Start(started)).To(Succeed())
			warnings := slices.DeleteFunc(said.AllEntries(), func(entry *logrus.Entry) bool { return entry.Level > logrus.WarnLevel })
			Expect(warnings).To(ConsistOf(HaveField("Message", ContainSubstring("kubectl apply -k config/rbac"))))
		})
	})
})

// roundTripper makes one of a function.
type roundTripper func(*http.Request) (*http.Response, error)

func (r roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return r(request) }
