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
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
)

// standstillNamespace is apart from the other tests', because rights are taken from its agents.
const standstillNamespace = "standstill"

// noticing is how long agents may take to notice that nobody leads: longer than the gap after a leader's crash.
const noticing = 20 * time.Second

var _ = Describe("agents of which none can work", Ordered, func() {
	var config string

	BeforeAll(func(ctx context.Context) {
		Expect(live.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: standstillNamespace}})).To(Succeed())
		config = asDaemonSet(ctx, standstillNamespace)
	})

	start := func() (session *gexec.Session, health string) {
		session, health, _ = startAgent("--kubeconfig", config, "-n", standstillNamespace)
		return session, health
	}

	ready := func(health string) func() int {
		return func() int { code, _ := get("http://" + health + "/readyz"); return code }
	}

	upload := func(ctx context.Context, name string, phase v2alpha1.Phase, mover string) *v2alpha1.DataUpload {
		du := &v2alpha1.DataUpload{
			ObjectMeta: metav1.ObjectMeta{Namespace: standstillNamespace, Name: name},
			Spec: v2alpha1.DataUploadSpec{
				SnapshotType: v2alpha1.SnapshotTypeCSI, SourceNamespace: "shop", SourcePVC: name, DataMover: mover,
				CSISnapshot:           &v2alpha1.CSISnapshotSpec{VolumeSnapshot: name, StorageClass: fastClass},
				BackupStorageLocation: "nowhere",
			},
			Status: v2alpha1.DataUploadStatus{TransferStatus: v2alpha1.TransferStatus{Phase: phase, AcceptedTimestamp: &metav1.Time{Time: time.Now()}}},
		}
		Expect(live.Create(ctx, du)).To(Succeed())
		return du
	}

	message := func(ctx context.Context, du *v2alpha1.DataUpload) func() string {
		return func() string {
			Expect(live.Get(ctx, client.ObjectKeyFromObject(du), du)).To(Succeed())
			return du.Status.Message
		}
	}

	// told are the Events about a DataUpload that say that no agent works.
	told := func(ctx context.Context, du *v2alpha1.DataUpload) []string {
		list := &corev1.EventList{}
		Expect(live.List(ctx, list, client.InNamespace(standstillNamespace), client.MatchingFields{"involvedObject.uid": string(du.UID)})).To(Succeed())
		var notes []string
		for _, event := range list.Items {
			if event.Reason == "NoLeader" && event.Series == nil {
				notes = append(notes, event.Message)
			}
		}
		return notes
	}

	const noLease = `no agent works on DataUploads: no agent can lead: lease standstill/node-agent: ` +
		`leases.coordination.k8s.io "node-agent" is forbidden`

	It("tell the DataUploads that nobody can lead, once, and one takes that back when it can", func(ctx context.Context) {
		restore := withoutRight(ctx, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: standstillNamespace, Name: "node-agent"}}, "leases")
		fresh := upload(ctx, "fresh", "", "")
		waiting := upload(ctx, "waiting", v2alpha1.PhaseAccepted, "")
		done := upload(ctx, "done", v2alpha1.PhaseCompleted, "")
		foreign := upload(ctx, "foreign", "", "another")
		untouched := []string{done.ResourceVersion, foreign.ResourceVersion}

		first, firstHealth := start()
		_, secondHealth := start()
		for _, du := range []*v2alpha1.DataUpload{fresh, waiting} {
			Eventually(message(ctx, du)).WithTimeout(noticing + soon).Should(HavePrefix(noLease))
			Eventually(func() []string { return told(ctx, du) }).Should(ConsistOf(HavePrefix(noLease)))
		}
		for _, health := range []string{firstHealth, secondHealth} {
			Eventually(ready(health)).Should(Equal(http.StatusInternalServerError), "both notice")
			_, words := get("http://" + health + "/readyz")
			Expect(words).To(ContainSubstring("no agent can lead"))
		}
		versions := []string{fresh.ResourceVersion, waiting.ResourceVersion}
		Consistently(func() []string {
			message(ctx, fresh)()
			message(ctx, waiting)()
			return []string{fresh.ResourceVersion, waiting.ResourceVersion}
		}).WithTimeout(soon).WithPolling(time.Second).Should(Equal(versions), "nothing is repeated")
		Expect(told(ctx, fresh)).To(HaveLen(1))
		message(ctx, done)()
		message(ctx, foreign)()
		Expect([]string{done.ResourceVersion, foreign.ResourceVersion}).To(Equal(untouched))

		restore()
		for _, du := range []*v2alpha1.DataUpload{fresh, waiting} {
			Eventually(message(ctx, du)).WithTimeout(noticing).Should(ContainSubstring(`backup storage location "nowhere" not found`))
		}
		for _, health := range []string{firstHealth, secondHealth} {
			Eventually(ready(health)).Should(Equal(http.StatusOK))
		}

		By("not speaking of the gap after a crash")
		versions = []string{fresh.ResourceVersion, waiting.ResourceVersion}
		first.Kill()
		Consistently(func() []string {
			message(ctx, fresh)()
			message(ctx, waiting)()
			return []string{fresh.ResourceVersion, waiting.ResourceVersion}
		}).WithTimeout(takeOver).WithPolling(time.Second).Should(Equal(versions))
	})

	It("tell the DataUploads why the one that leads cannot begin", func(ctx context.Context) {
		restore := withoutRight(ctx, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "node-agent"}}, "storageclasses")
		du := upload(ctx, "late", "", "")
		_, health := start()
		Eventually(message(ctx, du)).WithTimeout(takeOver + noticing).Should(And(
			HavePrefix("no agent works on DataUploads: the agent that leads cannot begin: it cannot watch the cluster: "),
			ContainSubstring("storageclasses.storage.k8s.io is forbidden")))
		Eventually(func() []string { return told(ctx, du) }).Should(HaveLen(1))
		Expect(ready(health)()).To(Equal(http.StatusInternalServerError))
		restore()
		Eventually(message(ctx, du)).WithTimeout(time.Minute).Should(ContainSubstring(`backup storage location "nowhere" not found`))
	})
})

// withoutRight takes the rules about a resource out of a role. It returns how to put them back.
func withoutRight(ctx context.Context, role client.Object, resource string) func() {
	GinkgoHelper()
	Expect(live.Get(ctx, client.ObjectKeyFromObject(role), role)).To(Succeed())
	rules := &[]rbacv1.PolicyRule{}
	switch r := role.(type) {
	case *rbacv1.Role:
		rules = &r.Rules
	case *rbacv1.ClusterRole:
		rules = &r.Rules
	}
	all := slices.Clone(*rules)
	*rules = slices.DeleteFunc(slices.Clone(all), func(rule rbacv1.PolicyRule) bool {
		return strings.Join(rule.Resources, ",") == resource
	})
	Expect(*rules).To(HaveLen(len(all) - 1))
	Expect(live.Update(ctx, role)).To(Succeed())
	return func() {
		*rules = all
		Expect(live.Update(ctx, role)).To(Succeed())
	}
}
