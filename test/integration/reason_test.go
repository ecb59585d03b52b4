package integration

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/config"
)

// soon is how long a cause may stay unnamed.
const soon = 10 * time.Second

// cause is something that keeps a DataUpload from being prepared.
type cause struct {
	// trial makes the DataUpload differ from a healthy one.
	trial func(*trial)
	// before brings the cause about before the backupPVC is made, arise after that.
	before, arise func(context.Context, *trial)
	// kind and code are those of the Event, words stand in it and in status.message.
	kind, code string
	words      []string
	// again lets it be said once more in the way of those who say it, for the nth time.
	again func(ctx context.Context, t *trial, n int)
	// change brings another cause about, of which other is a word.
	change func(context.Context, *trial)
	other  string
}

// begin brings a new DataUpload to where the cause shows, and returns when that was.
func (c cause) begin(ctx context.Context) (*trial, time.Time) {
	t := newTrial(func(t *trial) {
		if c.trial != nil {
			c.trial(t)
		}
	})
	t.unlimit(ctx) // what an earlier one has left
	enforce(ctx, "privileged")
	readyRepository(ctx)
	t.makeSource(ctx)
	if c.before != nil {
		c.before(ctx, t)
	}
	t.create(ctx)
	t.settle(ctx)
	if snapshot, content := t.aliasPair(ctx); snapshot != nil && content != nil {
		t.bindAlias(ctx)
		t.settle(ctx)
	}
	start := t.clock.Now()
	if c.arise != nil {
		c.arise(ctx, t)
	}
	return t, start
}

// lookUntil lets time pass as the reconciler asks for it until its message has the words.
func (t *trial) lookUntil(ctx context.Context, start time.Time, words ...string) {
	GinkgoHelper()
	for {
		next := t.settle(ctx).RequeueAfter
		message := t.status(ctx).Message
		missing := ""
		for _, word := range words {
			if found, _ := ContainSubstring(word).Match(message); !found {
				missing = word
			}
		}
		if missing == "" {
			return
		}
		t.clock.SetTime(t.clock.Now().Add(next))
		Expect(t.clock.Now()).To(BeTemporally("<=", start.Add(soon)), "%q is not said within %s, but: %s", missing, soon, message)
	}
}

var _ = DescribeTable("the cause of waiting", func(ctx context.Context, c cause) {
	t, start := c.begin(ctx)
	By("naming it in time, in message and Event")
	t.lookUntil(ctx, start, c.words...)
	Expect(t.status(ctx).Phase).To(Equal(v2alpha1.PhaseAccepted))
	events := slices.DeleteFunc(t.events(), func(e string) bool { return strings.HasPrefix(e, "Normal Accepted ") })
	Expect(events).To(HaveLen(1), "one cause, one Event")
	Expect(events[0]).To(And(HavePrefix(c.kind+" "+c.code+" "), HaveSuffix(t.status(ctx).Message)))

	By("not repeating it")
	version := t.upload(ctx).ResourceVersion
	for n := range 3 {
		if c.again != nil {
			c.again(ctx, t, n)
		}
		t.clock.SetTime(t.clock.Now().Add(resync))
		t.settle(ctx)
		Expect(t.upload(ctx).ResourceVersion).To(Equal(version), t.status(ctx).Message)
		Expect(t.events()).To(BeEmpty())
	}

	By("not repeating it after a restart")
	t.restart()
	t.settle(ctx)
	Expect(t.upload(ctx).ResourceVersion).To(Equal(version))
	Expect(t.events()).To(BeEmpty())

	By("naming another cause")
	c.change(ctx, t)
	t.lookUntil(ctx, t.clock.Now(), c.other)
	Expect(t.events()).To(ConsistOf(ContainSubstring(c.other)))

	By("keeping the last one when the prepare timeout has passed")
	t.expire(ctx)
	Expect(t.status(ctx).Message).To(ContainSubstring(c.other))

	By("keeping the first one, too, if it stays")
	t, start = c.begin(ctx)
	t.lookUntil(ctx, start, c.words...)
	t.expire(ctx)
	for _, word := range c.words {
		Expect(t.status(ctx).Message).To(ContainSubstring(word))
	}
},
	Entry("storage class missing", cause{
		trial: func(t *trial) { backupPVC(config.BackupPVC{StorageClass: "missing-" + t.name})(t) },
		kind:  "Warning", code: "StorageClassMissing", words: []string{`storage class "missing-upload-`, "not found"},
		again: func(ctx context.Context, t *trial, _ int) {
			t.complain(ctx, "PersistentVolumeClaim", "ProvisioningFailed", fmt.Sprintf(`storageclass.storage.k8s.io "missing-%s" not found`, t.name))
		},
		change: func(ctx context.Context, t *trial) {
			makeClass(ctx, "missing-"+t.name, storagev1.VolumeBindingImmediate)
		},
		other: "is not bound yet",
	}),
	Entry("provisioner error", cause{
		arise: func(ctx context.Context, t *trial) {
			t.complain(ctx, "PersistentVolumeClaim", "ProvisioningFailed", provisionerError(0))
		},
		kind: "Warning", code: "ProvisioningFailed",
		words: []string{`storage class "fast"`, "ProvisioningFailed: failed to provision volume", "snapshot is locked"},
		again: func(ctx context.Context, t *trial, n int) {
			t.complain(ctx, "PersistentVolumeClaim", "ProvisioningFailed", provisionerError(n+1))
		},
		change: func(ctx context.Context, t *trial) {
			t.complain(ctx, "PersistentVolumeClaim", "ProvisioningFailed", "rpc error: code = ResourceExhausted desc = pool is full")
		},
		other: "pool is full",
	}),
	Entry("driver without ReadOnlyMany", cause{
		trial: backupPVC(config.BackupPVC{ReadOnly: true}),
		arise: func(ctx context.Context, t *trial) {
			t.complain(ctx, "PersistentVolumeClaim", "ProvisioningFailed", "rpc error: code = InvalidArgument desc = only ReadWriteOnce access mode is supported")
		},
		kind: "Warning", code: "ReadOnlyManyUnsupported",
		words: []string{"ReadOnlyMany", "only ReadWriteOnce access mode is supported", "readOnly needs a CSI driver", "backupPVC.fast.readOnly"},
		change: func(ctx context.Context, t *trial) {
			t.complain(ctx, "PersistentVolumeClaim", "ProvisioningFailed", "rpc error: code = NotFound desc = no such snapshot")
		},
		other: "no such snapshot",
	}),
	Entry("VolumeSnapshot error", cause{
		before: func(ctx context.Context, t *trial) {
			t.snapshotError(ctx, "too many snapshots, request 5c2bfa1e-0d4b-4a57")
		},
		kind: "Warning", code: "VolumeSnapshotError", words: []string{"volumesnapshot shop/velero-upload-", "too many snapshots"},
		again: func(ctx context.Context, t *trial, n int) {
			t.snapshotError(ctx, fmt.Sprintf("too many snapshots, request %dd2bfa1e-0d4b-4a57", n))
		},
		change: func(ctx context.Context, t *trial) { t.snapshotError(ctx, "storage array is offline") },
		other:  "storage array is offline",
	}),
	Entry("VolumeSnapshot missing", cause{
		trial: func(t *trial) {
			t.spec = func(s *v2alpha1.DataUploadSpec) { s.CSISnapshot.VolumeSnapshot = "nothing-" + t.name }
		},
		kind: "Warning", code: "VolumeSnapshotMissing", words: []string{"volumesnapshot shop/nothing-upload-", "not found"},
		change: func(ctx context.Context, t *trial) {
			Expect(live.Create(ctx, &snapshotv1.VolumeSnapshot{
				ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "nothing-" + t.name},
				Spec:       snapshotv1.VolumeSnapshotSpec{Source: snapshotv1.VolumeSnapshotSource{PersistentVolumeClaimName: &t.name}},
			})).To(Succeed())
			key := client.ObjectKey{Namespace: "shop", Name: "nothing-" + t.name}
			Eventually(func() error { return cached.Get(ctx, key, &snapshotv1.VolumeSnapshot{}) }).Should(Succeed())
		},
		other: "is not bound to a volumesnapshotcontent yet",
	}),
	Entry("content of the VolumeSnapshot missing", cause{
		before: func(ctx context.Context, t *trial) { t.boundTo(ctx, "nothing") },
		kind:   "Warning", code: "VolumeSnapshotMissing", words: []string{"volumesnapshotcontent nothing of volumesnapshot shop/", "not found"},
		change: func(ctx context.Context, t *trial) { t.snapshotError(ctx, "VolumeSnapshotContent is missing") },
		other:  "VolumeSnapshotContent is missing",
	}),
	Entry("pod unschedulable", cause{
		arise: func(ctx context.Context, t *trial) {
			t.provision(ctx)
			t.unschedulable(ctx, "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint {gpu: true}.")
		},
		kind: "Warning", code: "Unschedulable", words: []string{"cannot be scheduled", "1 Insufficient cpu", "untolerated taint {gpu: true}"},
		again: func(ctx context.Context, t *trial, n int) {
			t.unschedulable(ctx, fmt.Sprintf("0/%d nodes are available: %d node(s) had untolerated taint {gpu: true}, 3 Insufficient cpu.", n+4, n+1))
		},
		change: func(ctx context.Context, t *trial) {
			t.unschedulable(ctx, "0/3 nodes are available: 3 node(s) had volume node affinity conflict.")
		},
		other: "volume node affinity conflict",
	}),
	Entry("waiting for the autoscaler", cause{
		arise: func(ctx context.Context, t *trial) {
			t.provision(ctx)
			t.unschedulable(ctx, "0/3 nodes are available: 3 Insufficient cpu.")
			t.note(ctx, "Pod", "TriggeredScaleUp", "pod triggered scale-up: [{pool 1->2 (max: 8)}]")
		},
		kind: "Normal", code: "WaitingForAutoscaler", words: []string{"waits for a node", "TriggeredScaleUp", "pool 1->2 (max: 8)"},
		again: func(ctx context.Context, t *trial, n int) {
			t.note(ctx, "Pod", "TriggeredScaleUp", fmt.Sprintf("pod triggered scale-up: [{pool %d->%d (max: 8)}]", n+2, n+3))
		},
		change: func(ctx context.Context, t *trial) {
			t.note(ctx, "Pod", "NotTriggerScaleUp", "pod didn't trigger scale-up: 1 max node group size reached")
		},
		other: "1 max node group size reached",
	}),
	Entry("waiting for the first consumer", cause{
		trial: func(t *trial) { t.class = lateClass },
		kind:  "Normal", code: "WaitingForFirstConsumer", words: []string{"is provisioned when the scheduler has chosen a node"},
		change: func(ctx context.Context, t *trial) {
			pvc := &corev1.PersistentVolumeClaim{}
			Expect(live.Get(ctx, t.key(), pvc)).To(Succeed())
			metav1.SetMetaDataAnnotation(&pvc.ObjectMeta, "volume.kubernetes.io/selected-node", nodeName)
			Expect(live.Update(ctx, pvc)).To(Succeed())
		},
		other: "is being provisioned for node node-1",
	}),
	Entry("image pull failure", cause{
		arise: func(ctx context.Context, t *trial) {
			t.provision(ctx)
			t.containerWaits(ctx, "ErrImagePull", "rpc error: code = NotFound desc = node-agent:test: not found")
		},
		kind: "Warning", code: "ImagePullFailed", words: []string{"cannot pull image node-agent:test", "code = NotFound"},
		again: func(ctx context.Context, t *trial, n int) {
			t.complain(ctx, "Pod", "Failed", `Failed to pull image "node-agent:test": rpc error: code = NotFound desc = node-agent:test: not found`)
			states := []string{"ImagePullBackOff", "ErrImagePull"}
			t.containerWaits(ctx, states[n%2], []string{
				`Back-off pulling image "node-agent:test"`, "rpc error: code = NotFound desc = node-agent:test: not found",
			}[n%2])
		},
		change: func(ctx context.Context, t *trial) {
			t.containerWaits(ctx, "ErrImagePull", "rpc error: code = Unknown desc = pull access denied")
		},
		other: "pull access denied",
	}),
	Entry("pod quota exceeded", cause{
		before: func(ctx context.Context, t *trial) { t.limit(ctx, corev1.ResourcePods, "0") },
		arise:  func(ctx context.Context, t *trial) { t.provision(ctx) },
		kind:   "Warning", code: "QuotaExceeded", words: []string{"backup pod is refused", "exceeded quota", "pods=1"},
		change: func(ctx context.Context, t *trial) { t.enforce(ctx, "restricted"); t.unlimit(ctx) },
		other:  "enforces pod security level restricted",
	}),
	Entry("storage quota exceeded", cause{
		before: func(ctx context.Context, t *trial) { t.limit(ctx, corev1.ResourceRequestsStorage, "1Gi") },
		kind:   "Warning", code: "QuotaExceeded", words: []string{"backupPVC is refused", "exceeded quota", "requests.storage=3Gi"},
		again:  func(ctx context.Context, t *trial, n int) { t.use(ctx, fmt.Sprintf("%dMi", n+1)) },
		change: func(ctx context.Context, t *trial) { t.unlimit(ctx) },
		other:  "is not bound yet",
	}),
	Entry("pod security level", cause{
		before: func(ctx context.Context, t *trial) { t.enforce(ctx, "restricted") },
		arise:  func(ctx context.Context, t *trial) { t.provision(ctx) },
		kind:   "Warning", code: "PodSecurityRefused",
		words:  []string{"enforces pod security level restricted", `violates PodSecurity "restricted:latest"`, "must be privileged"},
		change: func(ctx context.Context, t *trial) { t.enforce(ctx, "privileged") },
		other:  "is not running yet",
	}),
	Entry("spc_t and the pod security level", cause{
		trial:  backupPVC(config.BackupPVC{ReadOnly: true, SPCNoRelabeling: true}),
		before: func(ctx context.Context, t *trial) { t.enforce(ctx, "restricted") },
		arise:  func(ctx context.Context, t *trial) { t.provision(ctx) },
		kind:   "Warning", code: "PodSecurityRefused",
		words: []string{
			"pod security level restricted, which forbids the SELinux type spc_t that backupPVC.fast.spcNoRelabeling asks for",
			`type "spc_t"`,
		},
		change: func(ctx context.Context, t *trial) { t.enforce(ctx, "baseline") },
		other:  "pod security level baseline, which forbids the SELinux type spc_t",
	}),
	Entry("admission webhook", cause{
		before: func(ctx context.Context, t *trial) { t.serveWebhook(ctx, "images must come from our registry") },
		arise:  func(ctx context.Context, t *trial) { t.provision(ctx) },
		kind:   "Warning", code: "AdmissionRefused", words: []string{"backup pod is refused", `admission webhook "policy.example.com"`, "images must come from our registry"},
		change: func(_ context.Context, t *trial) { t.webhook.Close() },
		other:  "failed calling webhook",
	}),
	Entry("priority class missing", cause{
		trial: func(t *trial) { text("priorityClassName: urgent-" + t.name)(t) },
		arise: func(ctx context.Context, t *trial) { t.provision(ctx) },
		kind:  "Warning", code: "PriorityClassMissing",
		words:  []string{`priority class "urgent-upload-`, "no PriorityClass with name", "priorityClassName in the node-agent ConfigMap"},
		change: func(ctx context.Context, t *trial) { admitPriorityClass(ctx, "urgent-"+t.name) },
		other:  "is not running yet",
	}),
	Entry("rights of the agent missing", cause{
		before: func(_ context.Context, t *trial) { t.r.Live = nobody() },
		kind:   "Warning", code: "RightsMissing",
		words:  []string{"a request of the agent is refused", `User "nobody" cannot get resource "volumesnapshotcontents"`},
		change: func(_ context.Context, t *trial) { t.r.Live = live },
		other:  "is not bound to a volumesnapshotcontent yet",
	}),
	Entry("mount failure", cause{
		arise: func(ctx context.Context, t *trial) {
			t.provision(ctx)
			t.complain(ctx, "Pod", "FailedMount", mountError(0))
		},
		kind: "Warning", code: "MountFailed", words: []string{"FailedMount: MountVolume.MountDevice failed for volume", "wrong fs type"},
		again: func(ctx context.Context, t *trial, n int) {
			t.complain(ctx, "Pod", "FailedMount", mountError(n+1))
			t.complain(ctx, "Pod", "FailedMount", "Unable to attach or mount volumes: unmounted volumes=[data]: timed out waiting for the condition")
		},
		change: func(ctx context.Context, t *trial) {
			t.complain(ctx, "Pod", "FailedAttachVolume", "Multi-Attach error for volume: already used by another node")
		},
		other: "FailedAttachVolume: Multi-Attach error",
	}),
	Entry("SELinux label of a read-only volume", cause{
		trial: backupPVC(config.BackupPVC{ReadOnly: true}),
		arise: func(ctx context.Context, t *trial) {
			t.provision(ctx)
			t.containerWaits(ctx, "CreateContainerError", relabelError(0))
		},
		kind: "Warning", code: "SELinuxRelabelFailed",
		words: []string{"lsetxattr", "read-only file system", "backupPVC.fast.spcNoRelabeling: true in the node-agent ConfigMap"},
		again: func(ctx context.Context, t *trial, n int) {
			t.containerWaits(ctx, "CreateContainerError", relabelError(n+1))
		},
		change: func(ctx context.Context, t *trial) {
			t.containerWaits(ctx, "CreateContainerConfigError", `secret "cloud" not found`)
		},
		other: `secret "cloud" not found`,
	}),
	Entry("repository not ready", cause{
		before: func(ctx context.Context, _ *trial) {
			repositoryError(ctx, "access denied, request 4442587FB7D0A2F9")
			DeferCleanup(readyRepository)
		},
		kind: "Warning", code: "BackupRepositoryNotReady", words: []string{"backup repository shop-default-kopia is not ready", "access denied"},
		again: func(ctx context.Context, _ *trial, n int) {
			repositoryError(ctx, fmt.Sprintf("access denied, request %d442587FB7D0A2F9", n))
		},
		change: func(ctx context.Context, _ *trial) {
			repositoryError(ctx, "no such bucket")
		},
		other: "no such bucket",
	}),
)

func provisionerError(n int) string {
	return fmt.Sprintf("failed to provision volume with StorageClass \"fast\": rpc error: code = Internal desc =\n"+
		"snapshot is locked, operation 5c2bfa1e-0d4b-4a57-a%03d, retry in %ds", n, 10<<n)
}

func mountError(n int) string {
	return fmt.Sprintf("MountVolume.MountDevice failed for volume \"pvc-77ed064b-%04d\" : rpc error: code = Internal desc = "+
		"mount failed: exit status 32: wrong fs type", n)
}

func relabelError(n int) string {
	return fmt.Sprintf("failed to generate container \"bfaefb49dc050c095557%d\" spec: failed to generate spec: relabel failed: "+
		"lsetxattr /var/lib/kubelet/pods/86e8ad89-bf07-421c-9ae2-%d/mount: read-only file system", n, n)
}

var _ = Describe("waiting for a slot", func() {
	It("tells the place in the queue, and no more Events than one", func(ctx context.Context) {
		leave := queue(ctx)
		DeferCleanup(leave)
		DeferCleanup(occupySlot(ctx))
		t := newTrial()
		t.advance(ctx, v2alpha1.PhaseAccepted)
		t.provision(ctx)
		t.runPod(ctx)
		t.events()
		t.lookUntil(ctx, t.clock.Now(), "waiting for a slot on node node-1: place 2 in its queue, 1 at a time")
		Expect(t.status(ctx).Phase).To(Equal(v2alpha1.PhasePrepared))
		Expect(t.events()).To(ConsistOf(HavePrefix("Normal WaitingForSlot waiting for a slot on node node-1: place 2")))

		leave()
		t.lookUntil(ctx, t.clock.Now(), "place 1 in its queue")
		Expect(t.events()).To(BeEmpty(), "it still waits for the same")
		version := t.upload(ctx).ResourceVersion
		t.clock.SetTime(t.clock.Now().Add(resync))
		t.settle(ctx)
		Expect(t.upload(ctx).ResourceVersion).To(Equal(version))

		t.abandon(ctx)
		Expect(t.status(ctx).Message).To(ContainSubstring("last: waiting for a slot on node node-1: place 1"))
	})
})

var _ = Describe("a mover that may not read a read-only volume", func() {
	It("leaves the hint at SELinux in the message", func(ctx context.Context) {
		t := newTrial(backupPVC(config.BackupPVC{ReadOnly: true}))
		t.advance(ctx, v2alpha1.PhaseInProgress)
		t.endPod(ctx, corev1.PodFailed, "upload volume shop/data: 1 entry of the volume could not be read: .: permission denied")
		t.settleAll(ctx)
		Expect(t.status(ctx).Phase).To(Equal(v2alpha1.PhaseFailed))
		Expect(t.status(ctx).Message).To(And(
			ContainSubstring("permission denied"), ContainSubstring("backupPVC.fast.spcNoRelabeling: true in the node-agent ConfigMap")))
		t.expectNothingLeft(ctx)
	})
})
