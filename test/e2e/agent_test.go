package e2e

import (
	"context"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	agentName     = "node-agent"
	configMapName = "node-agent-config"
	configMapKey  = "node-agent-config.json"
)

// stock is the container of the DaemonSet as `velero install` made it.
var stock corev1.Container

func agent(ctx context.Context) *appsv1.DaemonSet {
	GinkgoHelper()
	daemonSet := &appsv1.DaemonSet{}
	Expect(cluster.Get(ctx, client.ObjectKey{Namespace: veleroNamespace, Name: agentName}, daemonSet)).To(Succeed())
	return daemonSet
}

func rememberStockAgent(ctx context.Context) {
	GinkgoHelper()
	stock = agent(ctx).Spec.Template.Spec.Containers[0]
	Expect(stock.Image).NotTo(Equal(image), "the stock agent has to be there at first; an earlier run has left ours")
}

// useOurAgent replaces the image of the DaemonSet. Scenarios that need other arguments add them to the stock ones.
func useOurAgent(ctx context.Context, more ...string) {
	GinkgoHelper()
	replaceAgent(ctx, image, append(slices.Clone(stock.Args), more...))
}

func useStockAgent(ctx context.Context) {
	GinkgoHelper()
	replaceAgent(ctx, stock.Image, stock.Args)
}

func replaceAgent(ctx context.Context, image string, args []string) {
	GinkgoHelper()
	daemonSet := agent(ctx)
	container := &daemonSet.Spec.Template.Spec.Containers[0]
	before := daemonSet.DeepCopy()
	container.Image, container.Args = image, args
	Expect(cluster.Patch(ctx, daemonSet, client.MergeFrom(before))).To(Succeed())
	expectAgentReady(ctx)
}

// expectAgentReady waits until all agents are those that the DaemonSet describes, and run.
func expectAgentReady(ctx context.Context) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		daemonSet := agent(ctx)
		status := daemonSet.Status
		g.Expect(status.ObservedGeneration).To(Equal(daemonSet.Generation))
		g.Expect(status.UpdatedNumberScheduled).To(Equal(status.DesiredNumberScheduled))
		g.Expect(status.NumberAvailable).To(Equal(status.DesiredNumberScheduled))
	}).Should(Succeed())
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
	killAgents(ctx)
	expectAgentReady(ctx)
}
