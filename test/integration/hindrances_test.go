package integration

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
)

// resync is the longest that the reconciler waits before it looks again.
const resync = 30 * time.Second

// complain records a Warning about the backup pod or the backupPVC, as its controllers do; note one that is Normal. The
// same again makes the Event that is there newer.
func (t *trial) complain(ctx context.Context, kind, reason, message string) {
	t.recordEvent(ctx, corev1.EventTypeWarning, kind, reason, message)
}

func (t *trial) note(ctx context.Context, kind, reason, message string) {
	t.recordEvent(ctx, corev1.EventTypeNormal, kind, reason, message)
}

func (t *trial) recordEvent(ctx context.Context, class, kind, reason, message string) {
	GinkgoHelper()
	about := map[string]client.Object{"Pod": &corev1.Pod{}, "PersistentVolumeClaim": &corev1.PersistentVolumeClaim{}}[kind]
	Expect(live.Get(ctx, t.key(), about)).To(Succeed())
	t.said++
	now := metav1.NewTime(t.clock.Now().Add(time.Duration(t.said) * time.Second))
	list := &corev1.EventList{}
	Expect(live.List(ctx, list, client.InNamespace(velero), client.MatchingFields{"involvedObject.uid": string(about.GetUID())})).To(Succeed())
	var event *corev1.Event
	for i := range list.Items {
		if list.Items[i].Message == message {
			event = &list.Items[i]
		}
	}
	if event != nil {
		event.Count, event.LastTimestamp = event.Count+1, now
		Expect(live.Update(ctx, event)).To(Succeed())
	} else {
		event = &corev1.Event{
			ObjectMeta: metav1.ObjectMeta{Namespace: velero, GenerateName: "e-"}, Type: class, Reason: reason, Message: message,
			InvolvedObject: corev1.ObjectReference{Kind: kind, Namespace: velero, Name: t.name, UID: about.GetUID()},
			FirstTimestamp: now, LastTimestamp: now, Count: 1,
		}
		Expect(live.Create(ctx, event)).To(Succeed())
	}
	Eventually(func() string {
		seen := &corev1.Event{}
		_ = cached.Get(ctx, client.ObjectKeyFromObject(event), seen)
		return seen.ResourceVersion
	}).Should(Equal(event.ResourceVersion))
}

func (t *trial) unschedulable(ctx context.Context, message string) {
	t.podStatus(ctx, func(s *corev1.PodStatus) {
		s.Conditions = []corev1.PodCondition{{
			Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable, Message: message,
		}}
	})
}

func (t *trial) containerWaits(ctx context.Context, reason, message string) {
	t.podStatus(ctx, func(s *corev1.PodStatus) {
		s.ContainerStatuses = []corev1.ContainerStatus{{
			Name: string(t.upload(ctx).UID), State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}},
		}}
	})
}

func (t *trial) snapshotError(ctx context.Context, message string) {
	t.sourceStatus(ctx, &snapshotv1.VolumeSnapshotStatus{
		Error: &snapshotv1.VolumeSnapshotError{Message: &message, Time: &metav1.Time{Time: t.clock.Now()}},
	})
}

func (t *trial) boundTo(ctx context.Context, content string) {
	t.sourceStatus(ctx, &snapshotv1.VolumeSnapshotStatus{BoundVolumeSnapshotContentName: &content, ReadyToUse: new(true)})
}

// expire lets the prepare timeout pass and everything end.
func (t *trial) expire(ctx context.Context) {
	GinkgoHelper()
	t.clock.SetTime(t.status(ctx).AcceptedTimestamp.Add(prepareTimeout))
	t.syncCache(ctx)
	_, err := t.r.Reconcile(ctx, ctrl.Request{NamespacedName: t.key()})
	Expect(err).NotTo(HaveOccurred())
	t.r.Live = live // it ends without the rights that clean-up needs
	Eventually(func() []string { t.settleAll(ctx); return t.upload(ctx).Finalizers }).Should(BeEmpty())
	Expect(t.status(ctx).Phase).To(Equal(v2alpha1.PhaseCanceled))
	Expect(t.status(ctx).Message).To(ContainSubstring("not prepared within the prepare timeout of 30m0s"))
	Expect(t.upload(ctx).Annotations).NotTo(HaveKey("node-agent.io/waiting-for"))
	Expect(t.events()).To(ContainElement(HavePrefix("Warning Canceled not prepared within")))
}

// limit sets a quota on Velero's namespace; unlimit removes it. Both wait until the API server minds it.
func (t *trial) limit(ctx context.Context, name corev1.ResourceName, most string) {
	GinkgoHelper()
	t.unlimit(ctx)
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: velero, Name: "small"}}
	quota.Spec.Hard = corev1.ResourceList{name: resource.MustParse(most)}
	Expect(live.Create(ctx, quota)).To(Succeed())
	// No controller counts here what is there.
	quota.Status = corev1.ResourceQuotaStatus{Hard: quota.Spec.Hard, Used: corev1.ResourceList{name: resource.MustParse("0")}}
	Expect(live.Status().Update(ctx, quota)).To(Succeed())
	DeferCleanup(t.unlimit)
	Eventually(func() string { return whyRefused(ctx) }).Should(ContainSubstring("exceeded quota"))
}

func (t *trial) unlimit(ctx context.Context) {
	GinkgoHelper()
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: velero, Name: "small"}}
	if apierrors.IsNotFound(live.Delete(ctx, quota)) {
		return
	}
	Eventually(func() string { return whyRefused(ctx) }).ShouldNot(ContainSubstring("exceeded quota"))
}

// use changes how much of the storage quota is used.
func (t *trial) use(ctx context.Context, used string) {
	quota := &corev1.ResourceQuota{}
	Expect(live.Get(ctx, client.ObjectKey{Namespace: velero, Name: "small"}, quota)).To(Succeed())
	quota.Status.Used = corev1.ResourceList{corev1.ResourceRequestsStorage: resource.MustParse(used)}
	Expect(live.Status().Update(ctx, quota)).To(Succeed())
	Eventually(func() string { return whyRefused(ctx) }).Should(ContainSubstring("used: requests.storage=" + used))
}

// enforce sets the pod security level of Velero's namespace, and waits until the API server minds it.
func (t *trial) enforce(ctx context.Context, level string) {
	GinkgoHelper()
	enforce(ctx, level)
	DeferCleanup(enforce, "privileged")
	refused := ContainSubstring(`violates PodSecurity "` + level)
	if level == "privileged" {
		refused = BeEmpty()
	}
	Eventually(func() string { return podRefusal(ctx, probePod("spc_t")) }).Should(Or(refused, ContainSubstring("exceeded quota")))
}

// whyRefused is why neither a pod nor a PVC of 3 Gi could be made, or nothing.
func whyRefused(ctx context.Context) string {
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: velero, GenerateName: "probe-"}}
	claim.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}
	claim.Spec.Resources.Requests = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("3Gi")}
	if err := live.Create(ctx, claim, client.DryRunAll); err != nil {
		return err.Error()
	}
	return podRefusal(ctx, probePod(""))
}

func podRefusal(ctx context.Context, pod *corev1.Pod) string {
	if err := live.Create(ctx, pod, client.DryRunAll); err != nil {
		return err.Error()
	}
	return ""
}

func probePod(seLinuxType string) *corev1.Pod {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: velero, GenerateName: "probe-", Labels: map[string]string{"probe": "true"}}}
	pod.Spec.ServiceAccountName = "velero"
	pod.Spec.Containers = []corev1.Container{{Name: "c", Image: "i"}}
	if seLinuxType != "" {
		pod.Spec.SecurityContext = &corev1.PodSecurityContext{SELinuxOptions: &corev1.SELinuxOptions{Type: seLinuxType}}
	}
	return pod
}

// serveWebhook starts an admission webhook that refuses backup pods of this trial, and waits until the API server asks it.
func (t *trial) serveWebhook(ctx context.Context, refusal string) {
	GinkgoHelper()
	t.webhook = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		defer GinkgoRecover()
		review := &admissionv1.AdmissionReview{}
		Expect(json.NewDecoder(request.Body).Decode(review)).To(Succeed())
		review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Result: &metav1.Status{Message: refusal}}
		review.Request = nil
		w.Header().Set("Content-Type", "application/json")
		Expect(json.NewEncoder(w).Encode(review)).To(Succeed())
	}))
	DeferCleanup(t.webhook.Close)
	url := t.webhook.URL + "/validate"
	hook := &admissionregistrationv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "policy"},
		Webhooks: []admissionregistrationv1.ValidatingWebhook{{
			Name: "policy.example.com", AdmissionReviewVersions: []string{"v1"},
			SideEffects:   new(admissionregistrationv1.SideEffectClassNone),
			FailurePolicy: new(admissionregistrationv1.Fail), TimeoutSeconds: new(int32(2)),
			ClientConfig: admissionregistrationv1.WebhookClientConfig{
				URL: &url, CABundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: t.webhook.Certificate().Raw}),
			},
			Rules: []admissionregistrationv1.RuleWithOperations{{
				Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
				Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
			}},
		}},
	}
	remove := func(ctx context.Context) {
		Expect(client.IgnoreNotFound(live.Delete(ctx, hook))).To(Succeed())
		Eventually(func() string { return podRefusal(ctx, probePod("")) }).Should(BeEmpty())
	}
	remove(ctx) // that of an earlier trial
	Expect(live.Create(ctx, hook)).To(Succeed())
	DeferCleanup(remove)
	Eventually(func() string { return podRefusal(ctx, probePod("")) }).Should(ContainSubstring(refusal))
}

// nobody is a client without rights.
func nobody() client.Client {
	GinkgoHelper()
	config := rest.CopyConfig(plane.Config)
	config.Impersonate.UserName = "nobody"
	c, err := client.New(config, client.Options{Scheme: live.Scheme(), Mapper: live.RESTMapper()})
	Expect(err).NotTo(HaveOccurred())
	return c
}

// admitPriorityClass makes a priority class, and waits until the API server minds it.
func admitPriorityClass(ctx context.Context, name string) {
	GinkgoHelper()
	makePriorityClass(ctx, name)
	pod := probePod("")
	pod.Spec.PriorityClassName = name
	Eventually(func() string { return podRefusal(ctx, pod.DeepCopy()) }).Should(BeEmpty())
}

func makeClass(ctx context.Context, name string, mode storagev1.VolumeBindingMode) {
	GinkgoHelper()
	class := &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Provisioner: "csi.example.com", VolumeBindingMode: &mode}
	Expect(live.Create(ctx, class)).To(Succeed())
	DeferCleanup(func(ctx context.Context) { Expect(live.Delete(ctx, class)).To(Succeed()) })
	Eventually(func() error { return cached.Get(ctx, client.ObjectKey{Name: name}, &storagev1.StorageClass{}) }).Should(Succeed())
}

// queue lets an older DataUpload wait for a slot of the node. It returns how to end that.
func queue(ctx context.Context) func() {
	other := &v2alpha1.DataUpload{
		// Of two that are made in one second the name decides.
		ObjectMeta: metav1.ObjectMeta{Namespace: velero, GenerateName: "a-"},
		Spec:       v2alpha1.DataUploadSpec{SnapshotType: v2alpha1.SnapshotTypeCSI, BackupStorageLocation: goodPlace},
		Status:     v2alpha1.DataUploadStatus{TransferStatus: v2alpha1.TransferStatus{Phase: v2alpha1.PhasePrepared, Node: nodeName}},
	}
	return leaveLater(ctx, other)
}

// leaveLater creates a DataUpload of somebody else, and returns how to delete it.
func leaveLater(ctx context.Context, other *v2alpha1.DataUpload) func() {
	GinkgoHelper()
	Expect(live.Create(ctx, other)).To(Succeed())
	key := client.ObjectKeyFromObject(other)
	Eventually(func() error { return cached.Get(ctx, key, &v2alpha1.DataUpload{}) }).Should(Succeed())
	return func() {
		Expect(client.IgnoreNotFound(live.Delete(context.Background(), other))).To(Succeed())
		Eventually(func() bool {
			return apierrors.IsNotFound(cached.Get(context.Background(), key, &v2alpha1.DataUpload{}))
		}).Should(BeTrue(), fmt.Sprintf("%s is gone from the cache", key))
	}
}
