package integration

import (
	"context"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/types"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/config"
)

func intoBlock(d *download) { d.Mode = corev1.PersistentVolumeBlock }

func intoLateClass(d *download) { d.Class, d.Node = lateClass, nodeName }

func downloadConfigured(change func(*config.Config)) func(*download) {
	return func(d *download) {
		cfg := config.Default()
		change(cfg)
		d.r.Config = func() *config.Config { return cfg }
	}
}

var _ = DescribeTable("a good restore hands the volume over and leaves nothing", func(ctx context.Context, changes ...func(*download)) {
	d := newDownload(changes...)
	d.advance(ctx, v2alpha1.PhaseAccepted)
	dd := d.get(ctx)
	Expect(dd.Finalizers).To(ContainElement(v2alpha1.Finalizer))
	Expect(dd.Labels).To(HaveKeyWithValue(v2alpha1.ExposeOnGoingLabel, "true"))
	Expect(dd.Status.AcceptedByNode).To(Equal("agent-node"))

	d.provision(ctx)
	Expect(d.RunPod(ctx, nodeName)).To(BeTrue())
	d.settle(ctx)
	dd = d.get(ctx)
	Expect(dd.Status.Phase).To(Equal(v2alpha1.PhaseInProgress))
	Expect(dd.Status.Node).To(Equal(nodeName))
	Expect(dd.Labels).NotTo(HaveKey(v2alpha1.ExposeOnGoingLabel))
	Expect(d.Volumes(ctx)[0].Spec.PersistentVolumeReclaimPolicy).To(Equal(corev1.PersistentVolumeReclaimDelete),
		"a volume that is half filled goes with its claim")

	Expect(d.EndPod(ctx, 0, "Completed", goodRestore)).To(BeTrue())
	d.settleAll(ctx)
	dd = d.get(ctx)
	Expect(dd.Status.Phase).To(Equal(v2alpha1.PhaseCompleted), dd.Status.Message)
	Expect(dd.Status.Progress).To(Equal(v2alpha1.DataMoveOperationProgress{TotalBytes: 100, BytesDone: 100}))
	Expect(dd.Status.CompletionTimestamp).NotTo(BeNil())
	Expect(dd.Status.Message).To(BeEmpty())
	d.expectHandedOver(ctx)
	d.expectNothingMade(ctx)
},
	Entry("file system"),
	Entry("block volume", intoBlock),
	Entry("class that binds with the first consumer", intoLateClass),
)

var _ = Describe("a restore", func() {
	It("makes restorePVC and pod after the target PVC and the configuration", func(ctx context.Context) {
		d := newDownload(downloadConfigured(func(c *config.Config) {
			c.PriorityClassName = ""
			c.PodLabels = map[string]string{"team": "storage"}
			c.LoadAffinity = []config.LoadAffinity{{
				StorageClass: fastClass, NodeSelector: metav1.LabelSelector{MatchLabels: map[string]string{"disk": "ssd"}},
			}}
		}))
		d.advance(ctx, v2alpha1.PhaseAccepted)
		d.provision(ctx)
		pvc, pod, target := &corev1.PersistentVolumeClaim{}, d.Pod(ctx), d.Target(ctx)
		Expect(live.Get(ctx, d.Key(), pvc)).To(Succeed())
		Expect(pvc.Labels).To(HaveKeyWithValue("app", "shop"))
		Expect(pvc.Annotations).To(HaveKeyWithValue("a.example.com/b", "c"))
		Expect(pvc.Spec.AccessModes).To(Equal(target.Spec.AccessModes))
		Expect(pvc.Spec.StorageClassName).To(Equal(target.Spec.StorageClassName))
		Expect(pvc.Spec.Resources).To(Equal(target.Spec.Resources))
		Expect(pvc.Spec.Selector).To(BeNil())
		Expect(pod.Labels).To(And(HaveKeyWithValue("team", "storage"), HaveKeyWithValue(v2alpha1.DataDownloadLabel, d.Name),
			HaveKeyWithValue(v2alpha1.ExposerPodGroupLabel, "generic-restore-exposer")))
		Expect(pod.Spec.Containers[0].Command).To(Equal([]string{"/velero", "data-mover", "restore"}))
		Expect(pod.Spec.Containers[0].Args).To(ContainElements(
			"--data-download="+d.Name, "--volume-mode=Filesystem", "--resource-timeout=10m0s"))
		terms := pod.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
		Expect(terms[0].MatchExpressions[0].Key).To(Equal("disk"))
	})

	It("waits in New for the target PVC", func(ctx context.Context) {
		d := newDownload()
		d.advance(ctx, v2alpha1.PhaseNew)
		Expect(d.get(ctx).Status.Message).To(ContainSubstring("is not there yet"))
		d.MakeTarget(ctx)
		d.settle(ctx)
		Expect(d.get(ctx).Status.Phase).To(Equal(v2alpha1.PhaseAccepted))
	})

	DescribeTable("says at once that the target PVC asks for less than the snapshot has, if it does",
		func(ctx context.Context, size int64, said types.GomegaMatcher) {
			d := newDownload(func(d *download) { d.spec = func(s *v2alpha1.DataDownloadSpec) { s.SnapshotSize = size } })
			d.advance(ctx, v2alpha1.PhaseAccepted)
			Expect(drain(d.recorder)).To(said)
		},
		Entry("far less", int64(900<<30), ContainElement(And(
			HavePrefix("Warning TargetPVCTooSmall the snapshot has 900Gi, but target PVC "), ContainSubstring(" asks for 3Gi only")))),
		Entry("as much", int64(3<<30), Not(ContainElement(ContainSubstring("TargetPVCTooSmall")))),
		Entry("not known", int64(0), Not(ContainElement(ContainSubstring("TargetPVCTooSmall")))),
	)

	It("waits for a pod that uses the target PVC, and restores on its node", func(ctx context.Context) {
		d := newDownload(func(d *download) { d.Class = lateClass })
		d.advance(ctx, v2alpha1.PhaseAccepted)
		d.clock.SetTime(d.clock.Now().Add(10 * time.Second))
		d.settle(ctx)
		Expect(d.get(ctx).Status.Message).To(ContainSubstring("waits for a pod that uses it"))
		Expect(d.Pod(ctx)).To(BeNil())
		d.UseTarget(ctx, nodeName)
		d.settle(ctx)
		Expect(d.Pod(ctx).Spec.NodeSelector).To(Equal(map[string]string{corev1.LabelHostname: nodeName}))
	})

	It("restores on another node when the scheduler chooses anew", func(ctx context.Context) {
		d := newDownload(func(d *download) { d.Class = lateClass })
		d.advance(ctx, v2alpha1.PhaseAccepted)
		d.UseTarget(ctx, "a-node-that-is-gone")
		d.settle(ctx)
		first := d.Pod(ctx)
		Expect(first.Spec.NodeSelector).To(Equal(map[string]string{corev1.LabelHostname: "a-node-that-is-gone"}))
		d.settle(ctx)
		Expect(d.Pod(ctx).UID).To(Equal(first.UID), "there is no other node yet")

		d.UseTarget(ctx, nodeName)
		d.settleAll(ctx)
		Expect(d.Pod(ctx).UID).NotTo(Equal(first.UID))
		Expect(d.Pod(ctx).Spec.NodeSelector).To(Equal(map[string]string{corev1.LabelHostname: nodeName}))
		Expect(d.get(ctx).Annotations).NotTo(HaveKey("node-agent.io/lost-attempts"))
	})

	It("asks the API server less and less often for target PVCs that nobody uses", func(ctx context.Context) {
		const many, span = 10, 10 * time.Minute
		gets := &countingReader{Reader: live}
		looks := map[time.Duration]int{} // how many asked in each minute
		var waiting []*download
		for range many {
			d := newDownload(func(d *download) { d.Class = lateClass })
			d.advance(ctx, v2alpha1.PhaseAccepted)
			d.r.Live = gets
			waiting = append(waiting, d)
		}
		for _, d := range waiting {
			for at := time.Duration(0); at < span; {
				before := gets.gets
				result, err := d.r.Reconcile(ctx, ctrlRequest(d))
				Expect(err).NotTo(HaveOccurred())
				d.syncCache(ctx)
				looks[at/time.Minute] += gets.gets - before
				at += result.RequeueAfter
				d.clock.SetTime(d.clock.Now().Add(result.RequeueAfter))
			}
		}
		Expect(looks[0]).To(BeNumerically("<=", 8*many))
		for minute := time.Duration(1); minute < span/time.Minute; minute++ {
			Expect(looks[minute]).To(BeNumerically("<=", 2*many), "minute %d: a thousand of them ask 33 times a second, of 50", minute)
		}

		By("and sees at the next look that a pod uses one")
		waiting[0].UseTarget(ctx, nodeName)
		waiting[0].settle(ctx)
		Expect(waiting[0].Pod(ctx)).NotTo(BeNil())
	})

	It("does not wait for a pod with ignoreDelayBinding", func(ctx context.Context) {
		d := newDownload(func(d *download) { d.Class = lateClass },
			downloadConfigured(func(c *config.Config) { c.RestorePVC = &config.RestorePVC{IgnoreDelayBinding: true} }))
		d.advance(ctx, v2alpha1.PhaseAccepted)
		Expect(d.Pod(ctx)).NotTo(BeNil())
		Expect(d.Pod(ctx).Spec.NodeSelector).To(BeEmpty())
	})

	DescribeTable("is refused with the reason", func(ctx context.Context, change func(*v2alpha1.DataDownloadSpec), words string) {
		d := newDownload(func(d *download) { d.spec = change })
		d.create(ctx)
		DeferCleanup(d.Forget)
		d.settleAll(ctx)
		Expect(d.get(ctx).Status.Phase).To(Equal(v2alpha1.PhaseFailed))
		Expect(d.get(ctx).Status.Message).To(ContainSubstring(words))
	},
		Entry("for a data mover that Velero's own agent serves", func(s *v2alpha1.DataDownloadSpec) { s.DataMover = "velero-block" },
			`spec.datamover is "velero-block"`),
		Entry("without a snapshot", func(s *v2alpha1.DataDownloadSpec) { s.SnapshotID = "" }, "spec.snapshotID is empty"),
		Entry("for Windows", func(s *v2alpha1.DataDownloadSpec) { s.NodeOS = v2alpha1.NodeOSWindows }, "Linux only"),
		Entry("without a target", func(s *v2alpha1.DataDownloadSpec) { s.TargetVolume.PVC = "" }, "spec.targetVolume.pvc is empty"),
	)

	It("fails at once where the target PVC is bound already", func(ctx context.Context) {
		d := newDownload()
		d.MakeTarget(ctx)
		target := d.Target(ctx)
		target.Spec.VolumeName = "other"
		Expect(live.Update(ctx, target)).To(Succeed())
		readyRepository(ctx)
		d.create(ctx)
		DeferCleanup(d.Forget)
		d.settleAll(ctx)
		Expect(d.get(ctx).Status.Phase).To(Equal(v2alpha1.PhaseFailed))
		Expect(d.get(ctx).Status.Message).To(ContainSubstring("is bound to volume other already"))
		d.expectNothingMade(ctx)
	})

	It("hands its volume over whatever the selector of the target PVC asks for", func(ctx context.Context) {
		d := newDownload()
		d.MakeTarget(ctx)
		target := d.Target(ctx)
		target.Finalizers = nil
		Expect(live.Update(ctx, target)).To(Succeed())
		Expect(live.Delete(ctx, target)).To(Succeed())
		target.ObjectMeta = metav1.ObjectMeta{Namespace: target.Namespace, Name: target.Name}
		target.Spec.Selector.MatchExpressions = []metav1.LabelSelectorRequirement{
			{Key: "tier", Operator: metav1.LabelSelectorOpExists},
			{Key: "zone", Operator: metav1.LabelSelectorOpIn, Values: []string{"a", "b"}},
		}
		Expect(live.Create(ctx, target)).To(Succeed())
		readyRepository(ctx)
		d.create(ctx)
		DeferCleanup(d.Forget)
		d.settle(ctx)
		d.provision(ctx)
		Expect(d.RunPod(ctx, nodeName)).To(BeTrue())
		d.settle(ctx)
		Expect(d.EndPod(ctx, 0, "Completed", goodRestore)).To(BeTrue())
		d.settleAll(ctx)
		Expect(d.get(ctx).Status.Phase).To(Equal(v2alpha1.PhaseCompleted), d.get(ctx).Status.Message)
		Expect(d.Target(ctx).Status.Phase).To(Equal(corev1.ClaimBound))
		Expect(d.Volumes(ctx)[0].Labels).To(HaveKeyWithValue("zone", "a"))
		d.expectNothingMade(ctx)
	})

	It("is canceled with the cause when it is not prepared in time", func(ctx context.Context) {
		d := newDownload(func(d *download) { d.Class = "no-such-class" })
		d.advance(ctx, v2alpha1.PhaseAccepted)
		Expect(d.get(ctx).Status.Message).To(ContainSubstring(`storage class "no-such-class" not found`))
		d.clock.SetTime(d.clock.Now().Add(prepareTimeout))
		d.settleAll(ctx)
		dd := d.get(ctx)
		Expect(dd.Status.Phase).To(Equal(v2alpha1.PhaseCanceled))
		Expect(dd.Status.Message).To(And(ContainSubstring("prepare timeout"), ContainSubstring(`storage class "no-such-class" not found`)))
		d.expectNothingLeft(ctx)
	})

	DescribeTable("that is canceled or deleted leaves nothing", func(ctx context.Context, phase v2alpha1.Phase, end func(*download, context.Context)) {
		d := newDownload()
		d.advance(ctx, phase)
		end(d, ctx)
		d.settleAll(ctx)
		dd := &v2alpha1.DataDownload{}
		if err := live.Get(ctx, d.Key(), dd); err == nil {
			Expect(dd.Status.Phase).To(Equal(v2alpha1.PhaseCanceled))
			Expect(dd.Status.Message).To(ContainSubstring("canceled"))
		}
		d.expectNothingLeft(ctx)
	},
		Entry("cancel in New", v2alpha1.PhaseNew, (*download).cancelIt),
		Entry("cancel in Accepted", v2alpha1.PhaseAccepted, (*download).cancelIt),
		Entry("cancel in Prepared", v2alpha1.PhasePrepared, (*download).cancelIt),
		Entry("cancel in InProgress", v2alpha1.PhaseInProgress, (*download).cancelIt),
		Entry("deletion in New", v2alpha1.PhaseNew, (*download).deleteIt),
		Entry("deletion in Accepted", v2alpha1.PhaseAccepted, (*download).deleteIt),
		Entry("deletion in Prepared", v2alpha1.PhasePrepared, (*download).deleteIt),
		Entry("deletion in InProgress", v2alpha1.PhaseInProgress, (*download).deleteIt),
		Entry("deletion in Canceling", v2alpha1.PhaseCanceling, (*download).deleteIt),
	)

	It("goes on with the same volume when the restore pod is lost", func(ctx context.Context) {
		d := newDownload()
		d.advance(ctx, v2alpha1.PhaseInProgress)
		volume := d.Volumes(ctx)[0].Name
		Expect(d.EndPod(ctx, 75, "Error", "the network is gone")).To(BeTrue())
		d.settle(ctx)
		Expect(d.get(ctx).Status.Phase).To(Equal(v2alpha1.PhaseAccepted))
		d.Collect(ctx)
		d.clock.SetTime(d.clock.Now().Add(time.Minute))
		d.settle(ctx)
		Expect(d.Pod(ctx).Spec.Containers[0].Args).To(ContainElement("--attempt=2"))
		Expect(d.RunPod(ctx, nodeName)).To(BeTrue())
		d.settle(ctx)
		Expect(d.EndPod(ctx, 0, "Completed", goodRestore)).To(BeTrue())
		d.settleAll(ctx)
		Expect(d.get(ctx).Status.Phase).To(Equal(v2alpha1.PhaseCompleted))
		d.expectHandedOver(ctx)
		Expect(d.Target(ctx).Spec.VolumeName).To(Equal(volume))
	})

	It("fails with what the mover said about the data, and leaves nothing", func(ctx context.Context) {
		d := newDownload()
		d.advance(ctx, v2alpha1.PhaseInProgress)
		Expect(d.EndPod(ctx, 1, "Error", "write a/b.txt: no space left on device")).To(BeTrue())
		d.settleAll(ctx)
		Expect(d.get(ctx).Status.Phase).To(Equal(v2alpha1.PhaseFailed))
		Expect(d.get(ctx).Status.Message).To(Equal("restore pod failed: write a/b.txt: no space left on device"))
		d.expectNothingLeft(ctx)
	})
})

func (d *download) cancelIt(ctx context.Context) { d.Cancel(ctx) }

func (d *download) deleteIt(ctx context.Context) { Expect(live.Delete(ctx, d.get(ctx))).To(Succeed()) }

var _ = Describe("a volume for the cache of a restore", func() {
	cached := func(class string, threshold int64) func(*download) {
		return downloadConfigured(func(c *config.Config) {
			c.CachePVC = &config.CachePVC{StorageClass: class, ResidentThresholdInMB: threshold}
		})
	}
	cachePVC := func(ctx context.Context, d *download) *corev1.PersistentVolumeClaim {
		pvc := &corev1.PersistentVolumeClaim{}
		if live.Get(ctx, client.ObjectKey{Namespace: velero, Name: d.Name + "-cache"}, pvc) != nil {
			return nil
		}
		return pvc
	}
	makeClass := func(ctx context.Context) {
		class := &storagev1.StorageClass{
			ObjectMeta: metav1.ObjectMeta{Name: "caches"}, Provisioner: "csi.example.com",
			ReclaimPolicy: new(corev1.PersistentVolumeReclaimDelete),
		}
		Expect(client.IgnoreAlreadyExists(live.Create(ctx, class))).To(Succeed())
	}

	It("is made as configured, mounted, and removed in the end", func(ctx context.Context) {
		makeClass(ctx)
		d := newDownload(cached("caches", 0))
		d.advance(ctx, v2alpha1.PhaseInProgress)
		pvc := cachePVC(ctx, d)
		Expect(pvc).NotTo(BeNil())
		Expect(pvc.Spec.StorageClassName).To(HaveValue(Equal("caches")))
		Expect(pvc.Spec.Resources.Requests.Storage().String()).To(Equal("6Gi"), "a fifth more than 5000 MiB, in whole GiB")
		Expect(d.Pod(ctx).Spec.Containers[0].Args).To(ContainElement("--cache-volume-path=/cache"))
		Expect(d.EndPod(ctx, 0, "Completed", goodRestore)).To(BeTrue())
		d.settleAll(ctx)
		Expect(d.get(ctx).Status.Phase).To(Equal(v2alpha1.PhaseCompleted))
		d.expectHandedOver(ctx)
		d.expectNothingMade(ctx)
	})

	It("is waited for before the restore pod is made, as the restorePVC is", func(ctx context.Context) {
		makeClass(ctx)
		d := newDownload(cached("caches", 0))
		d.advance(ctx, v2alpha1.PhaseAccepted)
		d.clock.SetTime(d.clock.Now().Add(10 * time.Second))
		d.settle(ctx)
		Expect(d.get(ctx).Status.Message).To(And(HavePrefix("restorePVC "), ContainSubstring("is not bound yet")))
		Expect(d.Upload.Provision(ctx)).To(BeTrue())
		d.settle(ctx)
		Expect(d.Pod(ctx)).To(BeNil())
		Expect(d.get(ctx).Status.Message).To(And(HavePrefix("cachePVC velero/"+d.Name+"-cache "), ContainSubstring("is not bound yet")))
		Expect(drain(d.recorder)).To(ContainElement(HavePrefix("Normal WaitingForCachePVC cachePVC ")))
		d.provision(ctx)
		Expect(d.Pod(ctx)).NotTo(BeNil())
		Expect(d.get(ctx).Status.Message).To(HaveSuffix("is not running yet"))
	})

	It("is as large as the BackupRepository limits the cache to", func(ctx context.Context) {
		makeClass(ctx)
		setCacheLimit(ctx, "10240")
		d := newDownload(cached("caches", 0))
		d.advance(ctx, v2alpha1.PhaseAccepted)
		d.provision(ctx)
		DeferCleanup(d.cancelIt)
		Expect(cachePVC(ctx, d).Spec.Resources.Requests.Storage().String()).To(Equal("12Gi"))
		Expect(d.Pod(ctx).Spec.Containers[0].Args).To(ContainElements("--cache-volume-path=/cache", "--cache-limit-mb=10240"))
	})

	It("is not made for a backup below the threshold", func(ctx context.Context) {
		makeClass(ctx)
		d := newDownload(cached("caches", 10), func(d *download) {
			d.spec = func(s *v2alpha1.DataDownloadSpec) { s.SnapshotSize = 10<<20 - 1 }
		})
		d.advance(ctx, v2alpha1.PhaseAccepted)
		Expect(cachePVC(ctx, d)).To(BeNil())
		d.provision(ctx)
		Expect(d.Pod(ctx).Spec.Containers[0].Args).NotTo(ContainElement(HavePrefix("--cache-volume-path")))
	})

	DescribeTable("is refused with the reason", func(ctx context.Context, class, words string) {
		d := newDownload(cached(class, 0))
		d.advance(ctx, v2alpha1.PhaseAccepted)
		Expect(d.get(ctx).Status.Message).To(ContainSubstring(words))
		Expect(d.Pod(ctx)).To(BeNil())
		d.clock.SetTime(d.clock.Now().Add(prepareTimeout))
		d.settleAll(ctx)
		Expect(d.get(ctx).Status.Phase).To(Equal(v2alpha1.PhaseCanceled))
		Expect(d.get(ctx).Status.Message).To(ContainSubstring(words))
		d.expectNothingLeft(ctx)
	},
		Entry("class missing", "no-caches", `cachePVC: storage class "no-caches" not found`),
		Entry("class that does not delete", fastClass, "reclaim policy Retain"),
	)
})

var _ = Describe("slots", func() {
	It("are those of DataUploads, too, and say who has them", func(ctx context.Context) {
		d := newDownload()
		d.advance(ctx, v2alpha1.PhasePrepared)
		Expect(d.get(ctx).Status.Message).To(And(ContainSubstring("place 1 in its queue"), ContainSubstring("taken by DataUpload other-")))
	})

	It("are free as soon as the data is written, though the volume cannot be handed over", func(ctx context.Context) {
		first := newDownload()
		first.advance(ctx, v2alpha1.PhaseInProgress)
		second := newDownload()
		second.MakeTarget(ctx)
		second.create(ctx)
		DeferCleanup(second.Forget)
		second.settle(ctx)
		second.provision(ctx)
		Expect(second.RunPod(ctx, nodeName)).To(BeTrue())
		second.settle(ctx)
		Expect(second.get(ctx).Status.Phase).To(Equal(v2alpha1.PhasePrepared))

		Expect(first.EndPod(ctx, 0, "Completed", goodRestore)).To(BeTrue())
		first.settle(ctx)
		Expect(first.get(ctx).Status.Phase).To(Equal(v2alpha1.PhaseInProgress), "its pod is not gone yet")
		second.settle(ctx)
		Expect(second.get(ctx).Status.Phase).To(Equal(v2alpha1.PhaseInProgress))
	})
})

var _ = Describe("the hand-over of a restored volume", func() {
	// restored is a DataDownload whose restore pod has just been successful.
	restored := func(ctx context.Context) *download {
		d := newDownload()
		d.advance(ctx, v2alpha1.PhaseInProgress)
		Expect(d.EndPod(ctx, 0, "Completed", goodRestore)).To(BeTrue())
		return d
	}

	It("comes to the same end when the agent is killed at any of its writes", func(ctx context.Context) {
		d := restored(ctx)
		before := d.client.writes
		d.settleAll(ctx)
		d.expectHandedOver(ctx)
		writes := d.client.writes - before
		Expect(writes).To(BeNumerically(">=", 8))
		for at := 1; at <= writes; at++ {
			for _, after := range []bool{false, true} {
				By(fmt.Sprintf("write %d of %d, after it: %t", at, writes, after))
				d := restored(ctx)
				d.client.left, d.client.after = at, after
				d.settleAll(ctx)
				Expect(d.get(ctx).Status.Phase).To(Equal(v2alpha1.PhaseCompleted), d.get(ctx).Status.Message)
				d.expectHandedOver(ctx)
				d.expectNothingMade(ctx)
			}
		}
	})

	// cut lets the agent write a number of times, and stops it there.
	cut := func(ctx context.Context, d *download, writes int) {
		d.client.left, d.client.after = writes, true
		for range 30 {
			d.syncCache(ctx)
			_, _ = d.r.Reconcile(ctx, ctrlRequest(d))
			if d.client.dead {
				break
			}
			d.Collect(ctx)
			d.Bind(ctx)
		}
		Expect(d.client.dead).To(BeTrue())
		d.restart()
	}

	DescribeTable("cut off at any write ends well for target PVC and volume", func(ctx context.Context, happens func(context.Context, *download)) {
		for at := 1; at <= 6; at++ { // with the next one the volume is given back, and the target's alone
			By(fmt.Sprintf("after write %d", at))
			d := restored(ctx)
			cut(ctx, d, at)
			happens(ctx, d)
			d.settleAll(ctx)
			target, dd := d.Target(ctx), &v2alpha1.DataDownload{}
			if live.Get(ctx, d.Key(), dd) == nil {
				Expect(dd.Status.Phase.IsTerminal()).To(BeTrue(), dd.Status.Message)
				if dd.Status.Phase != v2alpha1.PhaseCompleted {
					Expect(dd.Status.Message).NotTo(BeEmpty())
				}
			}
			if target != nil && target.Status.Phase == corev1.ClaimBound && len(d.Volumes(ctx)) == 1 {
				d.expectHandedOver(ctx)
				d.expectNothingMade(ctx)
			} else {
				d.expectNothingMade(ctx)
				Expect(d.Volumes(ctx)).To(BeEmpty(), "a volume is left")
				if target != nil {
					Expect(target.Spec.VolumeName).To(Or(BeEmpty(), Equal("other")))
				}
			}
		}
	},
		Entry("by a cancel", func(ctx context.Context, d *download) { d.cancelIt(ctx) }),
		Entry("by deletion", func(ctx context.Context, d *download) { d.deleteIt(ctx) }),
		Entry("because the target PVC is deleted", func(ctx context.Context, d *download) { d.DeleteTarget(ctx) }),
		Entry("because the target PVC is bound to another volume", func(ctx context.Context, d *download) {
			if target := d.Target(ctx); target.Spec.VolumeName == "" {
				target.Spec.VolumeName = "other"
				Expect(live.Update(ctx, target)).To(Succeed())
			}
		}),
	)
})

// countingReader counts what is asked of the API server.
type countingReader struct {
	client.Reader
	gets int
}

func (c *countingReader) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	c.gets++
	return c.Reader.Get(ctx, key, obj, opts...)
}
