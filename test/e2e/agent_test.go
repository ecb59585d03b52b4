package e2e

import (
	"context"
	"os"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	agentName     = "node-agent"
	configMapName = "node-agent-config"
	configMapKey  = "node-agent-config.json"
)

// stock is the pod of the DaemonSet as `velero install` made it.
var stock corev1.PodSpec

// leastRights lets our agent run with the rights of config/rbac instead of Velero's, which are all there are.
var leastRights = os.Getenv("E2E_RIGHTS") == "least"

func agent(ctx context.Context) *appsv1.DaemonSet {
	GinkgoHelper()
	daemonSet := &appsv1.DaemonSet{}
	Expect(cluster.Get(ctx, client.ObjectKey{Namespace: veleroNamespace, Name: agentName}, daemonSet)).To(Succeed())
	return daemonSet
}

func rememberStockAgent(ctx context.Context) {
	GinkgoHelper()
	stock = agent(ctx).Spec.Template.Spec
	Expect(stock.Containers[0].Image).NotTo(Equal(image), "the stock agent has to be there at first; an earlier run has left ours")
}

// grantLeastRights makes the accounts of config/rbac, and lets our agent use them until the end of the spec or suite.
func grantLeastRights(ctx context.Context) {
	GinkgoHelper()
	before := leastRights
	leastRights = true
	run(ctx, "kubectl", "apply", "-k", "../../config/rbac")
	DeferCleanup(func(ctx context.Context) {
		useStockAgent(ctx)
		run(ctx, "kubectl", "delete", "-k", "../../config/rbac")
		leastRights = before
	})
}

// useOurAgent replaces the image of the DaemonSet. Scenarios that need other arguments add them to the stock ones.
func useOurAgent(ctx context.Context, more ...string) {
	GinkgoHelper()
	account := stock.ServiceAccountName
	if leastRights {
		account = agentName
	}
	replaceAgent(ctx, image, account, append(slices.Clone(stock.Containers[0].Args), more...))
}

func useStockAgent(ctx context.Context) {
	GinkgoHelper()
	replaceAgent(ctx, stock.Containers[0].Image, stock.ServiceAccountName, stock.Containers[0].Args)
}

func replaceAgent(ctx context.Context, image, account string, args []string) {
	GinkgoHelper()
	daemonSet := agent(ctx)
	pod := &daemonSet.Spec.Template.Spec
	before := daemonSet.DeepCopy()
	pod.Containers[0].Image, pod.Containers[0].Args = image, args
	pod.ServiceAccountName, pod.DeprecatedServiceAccount = account, account
	Expect(cluster.Patch(ctx, daemonSet, client.MergeFrom(before))).To(Succeed())
	expectAgentReady(ctx)
}

// expectAgentReady waits until all agents are those that the DaemonSet describes, and run. Velero starts no backup before its
// status says so.
func expectAgentReady(ctx context.Context) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		daemonSet := agent(ctx)
		for _, pod := range agentPods(ctx) {
			g.Expect(pod.DeletionTimestamp).To(BeNil())
			g.Expect(pod.Spec.Containers[0].Image).To(Equal(daemonSet.Spec.Template.Spec.Containers[0].Image))
			g.Expect(pod.Status.Conditions).To(ContainElement(And(
				HaveField("Type", corev1.PodReady), HaveField("Status", corev1.ConditionTrue))))
		}
		status := daemonSet.Status
		g.Expect(status.ObservedGeneration).To(Equal(daemonSet.Generation))
		g.Expect(status.UpdatedNumberScheduled).To(Equal(status.DesiredNumberScheduled))
		g.Expect(status.NumberReady).To(Equal(status.DesiredNumberScheduled))
	}).Should(Succeed())
}

func agentPods(ctx context.Context) []corev1.Pod {
	GinkgoHelper()
	list := &corev1.PodList{}
	Expect(cluster.List(ctx, list, client.InNamespace(veleroNamespace), client.MatchingLabels{"role": "node-agent"})).To(Succeed())
	return list.Items
}

// configure replaces the content of the agent's ConfigMap. It is meant to be followed by useOurAgent.
func configure(ctx context.Context, content string) {
	GinkgoHelper()
	configMap := &corev1.ConfigMap{}
	Expect(cluster.Get(ctx, client.ObjectKey{Namespace: veleroNamespace, Name: configMapName}, configMap)).To(Succeed())
	before := configMap.DeepCopy()
	configMap.Data = map[string]string{configMapKey: content}
	Expect(cluster.Patch(ctx, configMap, client.MergeFrom(before))).To(Succeed())
	restartAgent(ctx)
}

// killAgents ends all agents without a warning.
func killAgents(ctx context.Context) {
	GinkgoHelper()
	Expect(cluster.DeleteAllOf(ctx, &corev1.Pod{}, client.InNamespace(veleroNamespace),
		client.MatchingLabels{"role": "node-agent"}, client.GracePeriodSeconds(0))).To(Succeed())
}

func restartAgent(ctx context.Context) {
	GinkgoHelper()
	before := map[types.UID]bool{}
	for _, pod := range agentPods(ctx) {
		before[pod.UID] = true
	}
	killAgents(ctx)
	Eventually(func(g Gomega) {
		after := agentPods(ctx)
		g.Expect(after).To(HaveLen(len(before)))
		for _, pod := range after {
			g.Expect(before).NotTo(HaveKey(pod.UID))
		}
	}).Should(Succeed())
	expectAgentReady(ctx)
}

// agentLog is what the agents that run now have said.
func agentLog(ctx context.Context) string {
	GinkgoHelper()
	return run(ctx, "kubectl", "logs", "-n", veleroNamespace, "-l", "role=node-agent", "--tail=-1")
}
