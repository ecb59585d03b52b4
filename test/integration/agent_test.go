package integration

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gexec"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/test/program"
)

// agentNamespace is apart from the other tests', so that a running agent does not meet their DataUploads.
const agentNamespace = "agents"

// takeOver is how long another agent may take to lead after the leader was killed.
const takeOver = 20 * time.Second

var kubeconfig string

// builtProgram builds node-agent, once for all specs, and returns its path.
var builtProgram = sync.OnceValue(func() string {
	path, err := program.Build(context.Background())
	Expect(err).NotTo(HaveOccurred())
	return path
})

// startAgent runs the real program as the DaemonSet of `velero install` does, and returns it with the addresses of its
// health and metrics endpoints.
func startAgent(args ...string) (session *gexec.Session, health, metrics string) {
	health, metrics = freeAddress(), freeAddress()
	args = append([]string{
		"node-agent", "server", "--features=", "--kubeconfig", kubeconfig, "--health-address", health, "--metrics-address", metrics,
	}, args...)
	command := exec.Command(builtProgram(), args...)
	command.Env = append(os.Environ(), "VELERO_NAMESPACE="+agentNamespace, "NODE_NAME="+nodeName)
	session, err := gexec.Start(command, GinkgoWriter, GinkgoWriter)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { session.Kill().Wait() })
	return session, health, metrics
}

// nextPort is what the next agent may listen on: each test process has ports of its own, below those that the kernel gives away.
var nextPort = 10_000

func freeAddress() string {
	for {
		nextPort++
		address := fmt.Sprintf("127.0.0.1:%d", nextPort+1_000*GinkgoParallelProcess())
		if listener, err := net.Listen("tcp", address); err == nil {
			Expect(listener.Close()).To(Succeed())
			return address
		}
	}
}

func makeConfigMap(ctx context.Context, name string, data map[string]string) {
	configMap := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: agentNamespace, Name: name}, Data: data}
	Expect(live.Create(ctx, configMap)).To(Succeed())
	DeferCleanup(func(ctx context.Context) { Expect(live.Delete(ctx, configMap)).To(Succeed()) })
}

func get(url string) (int, string) {
	response, err := http.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	Expect(err).NotTo(HaveOccurred())
	return response.StatusCode, string(body)
}

// prepareAgents makes what the program needs to run.
func prepareAgents(ctx context.Context) {
	kubeconfig = filepath.Join(GinkgoT().TempDir(), "kubeconfig")
	Expect(os.WriteFile(kubeconfig, plane.Kubeconfig, 0o600)).To(Succeed())
	err := live.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: agentNamespace}})
	Expect(client.IgnoreAlreadyExists(err)).To(Succeed())
}

var _ = Describe("the agent", Ordered, func() {
	BeforeAll(prepareAgents)

	DescribeTable("refuses a wrong configuration at once, and touches nothing", func(ctx context.Context, data map[string]string, words ...string) {
		name := "missing"
		if data != nil {
			name = "agent-config"
			makeConfigMap(ctx, name, data)
		}
		lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: agentNamespace, Name: "node-agent"}}
		Expect(client.IgnoreNotFound(live.Delete(ctx, lease))).To(Succeed(), "that of an earlier spec's agent")
		session, _, _ := startAgent("--node-agent-configmap=" + name)
		Eventually(session).Should(gexec.Exit(1))
		message := string(session.Err.Contents())
		for _, word := range words {
			Expect(message).To(ContainSubstring(word))
		}
		Expect(strings.Split(strings.TrimSpace(message), "\n")).To(HaveLen(1), "one readable message")
		Expect(apierrors.IsNotFound(live.Get(ctx, client.ObjectKeyFromObject(lease), lease))).To(BeTrue())
	},
		Entry("missing", nil, "configmap agents/missing, named by --node-agent-configmap, does not exist"),
		Entry("two keys", map[string]string{"a": "{}", "b": "{}"}, "agents/agent-config", "a", "b"),
		Entry("no key", map[string]string{}, "agents/agent-config"),
		Entry("cannot be parsed", map[string]string{"c.json": "{\n  \"backupPVC\": {\n"}, "c.json", ":3:"),
		Entry("unknown key", map[string]string{"c.json": "{\n  \"backupPvc\": {}\n}"}, "c.json", ":2:3", "backupPVC"),
		Entry("misplaced key", map[string]string{"c.json": `{"prepareQueueLength": 3}`}, ":1:2", "loadConcurrency"),
		Entry("wrong type", map[string]string{"c.json": `{"backupPVC": {"a": {"readOnly": "yes"}}}`}, "backupPVC.a.readOnly", ":1:"),
		Entry("negative number", map[string]string{"c.json": `{"loadConcurrency": {"globalConfig": -1}}`}, "loadConcurrency.globalConfig", "-1"),
	)

	It("elects one leader, serves health and metrics, and lets another take over", func(ctx context.Context) {
		makeConfigMap(ctx, "good", map[string]string{"c.yaml": "backupPVC:\n  fast:\n    readOnly: true\n"})
		holder := func() string {
			lease := &coordinationv1.Lease{}
			if live.Get(ctx, client.ObjectKey{Namespace: agentNamespace, Name: "node-agent"}, lease) != nil || lease.Spec.HolderIdentity == nil {
				return ""
			}
			return *lease.Spec.HolderIdentity
		}
		first, firstHealth, firstMetrics := startAgent("--node-agent-configmap=good")
		Eventually(holder).Should(Not(BeEmpty()))
		leader := holder()
		second, secondHealth, secondMetrics := startAgent("--node-agent-configmap=good")
		for health, metrics := range map[string]string{firstHealth: firstMetrics, secondHealth: secondMetrics} {
			Eventually(func() int { code, _ := get("http://" + health + "/readyz"); return code }).Should(Equal(http.StatusOK))
			code, _ := get("http://" + health + "/healthz")
			Expect(code).To(Equal(http.StatusOK))
			code, body := get("http://" + metrics + "/metrics")
			Expect(code).To(Equal(http.StatusOK))
			Expect(body).To(And(ContainSubstring("node_agent_leading"), ContainSubstring("node_agent_build_info")))
		}
		Expect(holder()).To(Equal(leader))

		first.Kill() // as if its node were gone: the lease is not given back
		Eventually(holder).WithTimeout(takeOver).Should(And(Not(BeEmpty()), Not(Equal(leader))))
		Eventually(func() string { _, body := get("http://" + secondMetrics + "/metrics"); return body }).
			Should(ContainSubstring("node_agent_leading 1"))
		By("counting from 0, so that its first failure is seen")
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "counted"}}
		Expect(live.Create(ctx, node)).To(Succeed())
		DeferCleanup(func(ctx context.Context) { Expect(live.Delete(ctx, node)).To(Succeed()) })
		for _, kind := range []string{"upload", "download"} {
			for _, end := range []string{"success", "failure", "cancel"} {
				Eventually(func() string { _, body := get("http://" + secondMetrics + "/metrics"); return body }).
					Should(ContainSubstring(fmt.Sprintf("podVolume_data_%s_%s_total{node=\"counted\"} 0", kind, end)))
			}
		}
		second.Terminate()
		Eventually(second).Should(gexec.Exit(0))
		Expect(holder()).To(BeEmpty(), "it gives the lease back")
	})

	It("says which address it cannot listen on", func() {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		Expect(err).NotTo(HaveOccurred())
		defer listener.Close()
		session, _, _ := startAgent("--metrics-address", listener.Addr().String())
		Eventually(session).Should(gexec.Exit(1))
		Expect(string(session.Err.Contents())).To(And(ContainSubstring("metrics address"), ContainSubstring("in use")))
	})

	It("refuses a prepare timeout of nothing", func() {
		session, _, _ := startAgent("--data-mover-prepare-timeout=0s")
		Eventually(session).Should(gexec.Exit(1))
		Expect(string(session.Err.Contents())).To(ContainSubstring("--data-mover-prepare-timeout is 0s"))
	})
})
