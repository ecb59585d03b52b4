package localnode_test

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func scheduled(pod *corev1.Pod) corev1.PodCondition {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodScheduled {
			return condition
		}
	}
	return corev1.PodCondition{}
}

func field(path string) *corev1.EnvVarSource {
	return &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: path}}
}

var _ = Describe("Pods", func() {
	It("run as processes and succeed", func(ctx SpecContext) {
		pod := shell("pod", `echo done > "$MESSAGE"`)
		state := finished(ctx, pod)
		Expect(pod.Status.Phase).To(Equal(corev1.PodSucceeded))
		Expect(pod.Spec.NodeName).To(Equal(nodeName))
		Expect(pod.Status.StartTime).NotTo(BeNil())
		Expect(pod.Status.PodIP).To(Equal("127.0.0.1"))
		Expect(state.Reason).To(Equal("Completed"))
		Expect(state.Message).To(Equal("done\n"))
	})

	It("are Running while they run, and get SIGTERM and a grace period when deleted", func(ctx SpecContext) {
		claim := newClaim("data", immediateClass)
		volume := bound(ctx, claim)
		pod := mount(shell("pod", `trap 'touch "$DATA/terminated"; exit 0' TERM; touch "$DATA/up"; while :; do sleep 0.05; done`),
			"data", "/data")
		Expect(cluster.Create(ctx, pod)).To(Succeed())
		Eventually(node.Storage.VolumePath(volume.Name) + "/up").Should(BeAnExistingFile())
		Eventually(fetch(ctx, pod)).Should(HaveField("Status.Phase", corev1.PodRunning))
		Expect(pod.Status.ContainerStatuses[0].Ready).To(BeTrue())

		Expect(cluster.Delete(ctx, pod)).To(Succeed())
		Eventually(gone(ctx, pod)).Should(BeTrue())
		Expect(node.Storage.VolumePath(volume.Name) + "/terminated").To(BeAnExistingFile())
	})

	It("are killed when they ignore SIGTERM", func(ctx SpecContext) {
		pod := shell("pod", `trap '' TERM; while :; do sleep 0.05; done`)
		pod.Spec.TerminationGracePeriodSeconds = new(int64(1))
		Expect(cluster.Create(ctx, pod)).To(Succeed())
		Eventually(fetch(ctx, pod)).Should(HaveField("Status.Phase", corev1.PodRunning))
		Expect(cluster.Delete(ctx, pod)).To(Succeed())
		Eventually(gone(ctx, pod)).Should(BeTrue())
	})

	It("hold their volume until the process is over, even if they were removed by force", func(ctx SpecContext) {
		claim := newClaim("data", immediateClass)
		volume := bound(ctx, claim)
		pod := mount(shell("pod", `trap 'sleep 0.5; exit' TERM; touch "$DATA/up"; while :; do sleep 0.05; done`), "data", "/data")
		Expect(cluster.Create(ctx, pod)).To(Succeed())
		Eventually(node.Storage.VolumePath(volume.Name) + "/up").Should(BeAnExistingFile())

		Expect(cluster.Delete(ctx, pod, client.GracePeriodSeconds(0))).To(Succeed())
		Expect(cluster.Delete(ctx, claim)).To(Succeed())
		Eventually(gone(ctx, pod)).Should(BeTrue())
		Eventually(gone(ctx, volume)).Should(BeTrue())
		Expect(node.Storage.VolumePath(volume.Name)).NotTo(BeAnExistingFile())
	})

	DescribeTable("that fail say why",
		func(ctx SpecContext, script string, policy corev1.TerminationMessagePolicy, exitCode int, message string) {
			pod := shell("pod", script)
			pod.Spec.Containers[0].TerminationMessagePolicy = policy
			state := finished(ctx, pod)
			Expect(pod.Status.Phase).To(Equal(corev1.PodFailed))
			Expect(state.Reason).To(Equal("Error"))
			Expect(state.ExitCode).To(BeEquivalentTo(exitCode))
			Expect(state.Message).To(Equal(message))
		},
		Entry("in the termination message", `printf 'disk on fire' > "$MESSAGE"; exit 3`,
			corev1.TerminationMessageReadFile, 3, "disk on fire"),
		Entry("in its first 4096 bytes", `printf '%05000d' 0 > "$MESSAGE"; exit 1`,
			corev1.TerminationMessageReadFile, 1, strings.Repeat("0", 4096)),
		Entry("not at all", `echo to the log; exit 1`, corev1.TerminationMessageReadFile, 1, ""),
		Entry("in the log, if asked to", `echo to the log; exit 1`,
			corev1.TerminationMessageFallbackToLogsOnError, 1, "to the log"),
		Entry("by a signal", `kill -KILL $$`, corev1.TerminationMessageReadFile, 137, ""),
	)

	It("whose program does not exist fail to start", func(ctx SpecContext) {
		pod := shell("pod", "")
		pod.Spec.Containers[0].Command = []string{"/no/such/program"}
		state := finished(ctx, pod)
		Expect(state.Reason).To(Equal("StartError"))
		Expect(state.ExitCode).To(BeEquivalentTo(128))
		Expect(state.Message).To(ContainSubstring("/no/such/program"))
	})

	It("see variables, secrets and their own fields", func(ctx SpecContext) {
		secret := &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "credentials"},
			StringData: map[string]string{"cloud": "from file", "password": "from key"},
		}
		Expect(cluster.Create(ctx, secret)).To(Succeed())
		pod := shell("pod", `echo "$PLAIN, $(cat "$FILE"), $PASSWORD, $NODE, $NS" > "$MESSAGE"`)
		pod.Spec.Volumes = []corev1.Volume{{Name: "credentials", VolumeSource: corev1.VolumeSource{
			Secret: &corev1.SecretVolumeSource{SecretName: "credentials"},
		}}}
		container := &pod.Spec.Containers[0]
		container.VolumeMounts = []corev1.VolumeMount{{Name: "credentials", MountPath: "/credentials"}}
		container.Env = append(container.Env,
			corev1.EnvVar{Name: "PLAIN", Value: "plain"},
			corev1.EnvVar{Name: "FILE", Value: "/credentials/cloud"},
			corev1.EnvVar{Name: "PASSWORD", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
				LocalObjectReference: corev1.LocalObjectReference{Name: "credentials"}, Key: "password",
			}}},
			corev1.EnvVar{Name: "NODE", ValueFrom: field("spec.nodeName")},
			corev1.EnvVar{Name: "NS", ValueFrom: field("metadata.namespace")},
		)
		Expect(finished(ctx, pod).Message).To(Equal("plain, from file, from key, " + nodeName + ", " + namespace + "\n"))
	})

	It("wait for a missing secret and say which", func(ctx SpecContext) {
		pod := shell("pod", `cat "$FILE" > "$MESSAGE"`)
		pod.Spec.Volumes = []corev1.Volume{{Name: "credentials", VolumeSource: corev1.VolumeSource{
			Secret: &corev1.SecretVolumeSource{SecretName: "credentials"},
		}}}
		pod.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "credentials", MountPath: "/credentials"}}
		pod.Spec.Containers[0].Env = append(pod.Spec.Containers[0].Env, corev1.EnvVar{Name: "FILE", Value: "/credentials/cloud"})
		Expect(cluster.Create(ctx, pod)).To(Succeed())
		Eventually(eventsOn(ctx, "pod")).Should(ContainElement(And(
			HavePrefix(`Warning FailedMount: MountVolume.SetUp failed for volume "credentials"`),
			ContainSubstring(`"credentials" not found`))))
		Expect(fetch(ctx, pod)(Default).Status.ContainerStatuses[0].State.Waiting.Reason).To(Equal("ContainerCreating"))

		Expect(cluster.Create(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "credentials"}, StringData: map[string]string{"cloud": "late"},
		})).To(Succeed())
		Eventually(fetch(ctx, pod)).Should(HaveField("Status.Phase", corev1.PodSucceeded))
	})

	It("wait for a missing key of a variable and say which", func(ctx SpecContext) {
		pod := shell("pod", "true")
		pod.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "PASSWORD", ValueFrom: &corev1.EnvVarSource{
			SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "none"}, Key: "key"},
		}}}
		Expect(cluster.Create(ctx, pod)).To(Succeed())
		Eventually(fetch(ctx, pod)).Should(HaveField("Status.ContainerStatuses", ConsistOf(HaveField("State.Waiting", HaveValue(And(
			HaveField("Reason", "CreateContainerConfigError"), HaveField("Message", ContainSubstring(`"none" not found`))))))))
	})

	DescribeTable("with an unknown image wait",
		func(ctx SpecContext, policy corev1.PullPolicy, reason string) {
			pod := shell("pod", "true")
			pod.Spec.Containers[0].Image, pod.Spec.Containers[0].ImagePullPolicy = "test/unknown:1", policy
			Expect(cluster.Create(ctx, pod)).To(Succeed())
			Eventually(fetch(ctx, pod)).Should(HaveField("Status.ContainerStatuses", ConsistOf(
				HaveField("State.Waiting", HaveValue(And(
					HaveField("Reason", reason), HaveField("Message", ContainSubstring("test/unknown:1"))))))))
			Expect(pod.Status.Phase).To(Equal(corev1.PodPending))
		},
		Entry("and back off", corev1.PullIfNotPresent, "ImagePullBackOff"),
		Entry("if it must not be pulled", corev1.PullNever, "ErrImageNeverPull"),
	)

	It("act as their service account", func(ctx SpecContext) {
		account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "mover"}}
		role := &rbacv1.Role{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "mover"},
			Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"list"}}},
		}
		binding := &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "mover"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "mover"},
			Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: namespace, Name: "mover"}},
		}
		for _, object := range []client.Object{account, role, binding} {
			Expect(cluster.Create(ctx, object)).To(Succeed())
		}
		claim := newClaim("out", immediateClass)
		volume := bound(ctx, claim)
		pod := mount(shell("pod", `cp "$KUBECONFIG" "$DATA/kubeconfig"`), "out", "/out")
		pod.Spec.ServiceAccountName = "mover"
		Expect(finished(ctx, pod).ExitCode).To(BeZero())

		config, err := clientcmd.BuildConfigFromFlags("", node.Storage.VolumePath(volume.Name)+"/kubeconfig")
		Expect(err).NotTo(HaveOccurred())
		mover, err := client.New(config, client.Options{Scheme: cluster.Scheme()})
		Expect(err).NotTo(HaveOccurred())
		Expect(mover.List(ctx, &corev1.SecretList{}, client.InNamespace(namespace))).To(Succeed())
		Expect(mover.List(ctx, &corev1.PodList{}, client.InNamespace(namespace))).To(MatchError(
			ContainSubstring("system:serviceaccount:" + namespace + ":mover")))
	})
})

var _ = Describe("The scheduler", func() {
	const prefix, suffix = "0/1 nodes are available: ", ". preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."

	DescribeTable("says why a pod fits nowhere",
		func(ctx SpecContext, change func(context SpecContext, pod *corev1.Pod), reason string) {
			pod := shell("pod", "true")
			change(ctx, pod)
			Expect(cluster.Create(ctx, pod)).To(Succeed())
			Eventually(func(g Gomega) corev1.PodCondition { return scheduled(fetch(ctx, pod)(g)) }).Should(And(
				HaveField("Status", corev1.ConditionFalse), HaveField("Reason", "Unschedulable"),
				HaveField("Message", prefix+reason+suffix)))
			Eventually(eventsOn(ctx, "pod")).Should(ContainElement("Warning FailedScheduling: " + prefix + reason + suffix))
		},
		Entry("by node selector", func(_ SpecContext, pod *corev1.Pod) {
			pod.Spec.NodeSelector = map[string]string{"zone": "elsewhere"}
		}, "1 node(s) didn't match Pod's node affinity/selector"),
		Entry("by node affinity", func(_ SpecContext, pod *corev1.Pod) {
			pod.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
				RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
					MatchExpressions: []corev1.NodeSelectorRequirement{{
						Key: corev1.LabelOSStable, Operator: corev1.NodeSelectorOpNotIn, Values: []string{"linux"},
					}},
				}}},
			}}
		}, "1 node(s) didn't match Pod's node affinity/selector"),
		Entry("for want of a claim", func(_ SpecContext, pod *corev1.Pod) {
			mount(pod, "data", "/data")
		}, `persistentvolumeclaim "data" not found`),
		Entry("because a claim has no volume", func(ctx SpecContext, pod *corev1.Pod) {
			Expect(cluster.Create(ctx, newClaim("data", "no-such-class"))).To(Succeed())
			mount(pod, "data", "/data")
		}, "pod has unbound immediate PersistentVolumeClaims"),
	)

	It("places a pod as soon as its claim is bound", func(ctx SpecContext) {
		pod := mount(shell("pod", "true"), "data", "/data")
		Expect(cluster.Create(ctx, pod)).To(Succeed())
		Eventually(func(g Gomega) corev1.PodCondition { return scheduled(fetch(ctx, pod)(g)) }).Should(
			HaveField("Status", corev1.ConditionFalse))
		bound(ctx, newClaim("data", immediateClass))
		Eventually(fetch(ctx, pod)).Should(HaveField("Status.Phase", corev1.PodSucceeded))
		Expect(scheduled(pod).Status).To(Equal(corev1.ConditionTrue))
	})
})
