package integration

import (
	"context"
	"os"
	"os/exec"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gexec"
	gomegatypes "github.com/onsi/gomega/types"
	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
	"github.com/node-agent/node-agent/pkg/expose"
)

var _ = Describe("the account of movers after the image alone was replaced", func() {
	const namespace = "swapped"

	mine := func() []client.Object {
		return []client.Object{
			expose.MoverRole(namespace), expose.MoverRoleBinding(namespace), expose.MoverAccount(namespace, nil),
		}
	}

	BeforeEach(func(ctx context.Context) {
		prepareAgents(ctx)
		Expect(client.IgnoreAlreadyExists(
			live.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}))).To(Succeed())
		daemonSet := &appsv1.DaemonSet{}
		Expect(live.Get(ctx, client.ObjectKey{Namespace: "velero", Name: "node-agent"}, daemonSet)).To(Succeed())
		for _, obj := range []client.Object{
			&corev1.ServiceAccount{
				ObjectMeta:       metav1.ObjectMeta{Namespace: namespace, Name: "velero"},
				ImagePullSecrets: []corev1.LocalObjectReference{{Name: "registry"}},
			},
			&appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "node-agent"}, Spec: daemonSet.Spec},
			&velerov1.BackupStorageLocation{
				ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "keys"},
				Spec: velerov1.BackupStorageLocationSpec{Provider: "aws", Credential: &corev1.SecretKeySelector{
					LocalObjectReference: corev1.LocalObjectReference{Name: "keys"}, Key: "cloud",
				}},
			},
		} {
			Expect(live.Create(ctx, obj)).To(Succeed())
			DeferCleanup(func(ctx context.Context) { Expect(live.Delete(ctx, obj)).To(Succeed()) })
		}
		DeferCleanup(func(ctx context.Context) {
			for _, obj := range mine() {
				Expect(client.IgnoreNotFound(live.Delete(ctx, obj))).To(Succeed())
			}
			Expect(live.DeleteAllOf(ctx, &eventsv1.Event{}, client.InNamespace(namespace))).To(Succeed())
		})
	})

	run := func(kubeconfig string, env ...string) *gexec.Session {
		command := exec.Command(builtProgram(), "node-agent", "server", "--features=", "--kubeconfig", kubeconfig,
			"--health-address", freeAddress(), "--metrics-address", freeAddress())
		command.Env = append(append(os.Environ(), "VELERO_NAMESPACE="+namespace, "NODE_NAME="+nodeName), env...)
		session, err := gexec.Start(command, GinkgoWriter, GinkgoWriter)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(func() {
			session.Terminate() // gives the lease back
			Eventually(session).Should(gexec.Exit())
		})
		return session
	}
	said := func(ctx context.Context) []eventsv1.Event {
		list := &eventsv1.EventList{}
		Expect(live.List(ctx, list, client.InNamespace(namespace))).To(Succeed())
		return list.Items
	}
	haveSaid := func(kind, words string) gomegatypes.GomegaMatcher {
		return ContainElement(And(HaveField("Type", kind), HaveField("Reason", "MoverRights"), HaveField("Note", ContainSubstring(words)),
			HaveField("Regarding.Kind", "DaemonSet")))
	}
	may := func(ctx context.Context, verb, group, resource string) bool {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User:               "system:serviceaccount:" + namespace + ":node-agent-mover",
			ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: namespace, Verb: verb, Group: group, Resource: resource},
		}}
		Expect(live.Create(ctx, review)).To(Succeed())
		return review.Status.Allowed
	}

	It("is made by the agent, and no wider than config/rbac", func(ctx context.Context) {
		run(kubeconfig)
		Eventually(said).WithContext(ctx).Should(haveSaid(corev1.EventTypeNormal, "service account node-agent-mover"))
		account := &corev1.ServiceAccount{}
		Expect(live.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "node-agent-mover"}, account)).To(Succeed())
		Expect(expose.MadeByAgent(account)).To(BeTrue())
		Expect(account.ImagePullSecrets).To(ConsistOf(HaveField("Name", "registry")), "the image may need it")
		Eventually(may).WithContext(ctx).WithArguments("patch", "velero.io", "datauploads").Should(BeTrue())
		Expect(may(ctx, "get", "velero.io", "backupstoragelocations")).To(BeTrue())
		Expect(may(ctx, "get", "", "secrets")).To(BeFalse())
	})

	It("is brought up to date by a later agent", func(ctx context.Context) {
		old := expose.MoverRole(namespace)
		old.Rules = old.Rules[:1]
		for _, obj := range []client.Object{old, expose.MoverRoleBinding(namespace), expose.MoverAccount(namespace, nil)} {
			Expect(live.Create(ctx, obj)).To(Succeed())
		}
		run(kubeconfig)
		Eventually(said).WithContext(ctx).Should(haveSaid(corev1.EventTypeNormal, "service account node-agent-mover"))
		role := &rbacv1.Role{}
		Expect(live.Get(ctx, client.ObjectKeyFromObject(old), role)).To(Succeed())
		Expect(role.Rules).To(Equal(expose.MoverRole(namespace).Rules))
	})

	It("is left to those who have made it", func(ctx context.Context) {
		role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "node-agent-mover"}}
		Expect(live.Create(ctx, role)).To(Succeed())
		run(kubeconfig)
		Eventually(said).WithContext(ctx).Should(haveSaid(corev1.EventTypeWarning, "made by somebody else"))
		Expect(live.Get(ctx, client.ObjectKeyFromObject(role), role)).To(Succeed())
		Expect(role.Rules).To(BeEmpty())
		account := expose.MoverAccount(namespace, nil)
		Expect(apierrors.IsNotFound(live.Get(ctx, client.ObjectKeyFromObject(account), account))).To(BeTrue(), "it would have no rights")
	})

	It("is not used for locations that may need a cloud identity, and that is said", func(ctx context.Context) {
		run(kubeconfig, "AWS_WEB_IDENTITY_TOKEN_FILE=/token")
		Eventually(said).WithContext(ctx).Should(haveSaid(corev1.EventTypeWarning, "keys (AWS_WEB_IDENTITY_TOKEN_FILE is set in the agent's pod)"))
	})

	It("is asked for by an agent that may not make it", func(ctx context.Context) {
		session := run(asDaemonSet(ctx, namespace))
		Eventually(said).WithContext(ctx).Should(haveSaid(corev1.EventTypeWarning, "kubectl apply -k config/rbac"))
		Eventually(func() string { return string(session.Out.Contents()) }).Should(ContainSubstring("reason=MoverRights"))
		account := expose.MoverAccount(namespace, nil)
		Expect(apierrors.IsNotFound(live.Get(ctx, client.ObjectKeyFromObject(account), account))).To(BeTrue())
	})
})
