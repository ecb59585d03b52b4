package app

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var _ = Describe("config check in an agent's pod", func() {
	// check runs it against an API server that has the DaemonSet with these arguments, and one ConfigMap.
	check := func(ctx context.Context, args ...string) (source string, err error) {
		GinkgoHelper()
		agents := &appsv1.DaemonSet{
			TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "DaemonSet"},
			ObjectMeta: metav1.ObjectMeta{Namespace: "backups", Name: "node-agent"},
		}
		agents.Spec.Template.Spec.Containers = []corev1.Container{{Name: "sidecar"}, {Name: "node-agent", Command: []string{"/velero"}, Args: args}}
		configMap := &corev1.ConfigMap{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
			ObjectMeta: metav1.ObjectMeta{Namespace: "backups", Name: "settings"}, Data: map[string]string{"c": "{}"},
		}
		mux := http.NewServeMux()
		for path, answer := range map[string]any{
			"/apis/apps/v1/namespaces/backups/daemonsets/node-agent": agents,
			"/api/v1/namespaces/backups/configmaps/settings":         configMap,
			"/api": metav1.APIVersions{TypeMeta: metav1.TypeMeta{Kind: "APIVersions"}, Versions: []string{"v1"}},
			"/apis": metav1.APIGroupList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupList", APIVersion: "v1"}, Groups: []metav1.APIGroup{
				{Name: "apps", Versions: []metav1.GroupVersionForDiscovery{{GroupVersion: "apps/v1", Version: "v1"}}},
			}},
			"/api/v1": metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList"}, GroupVersion: "v1", APIResources: []metav1.APIResource{
				{Name: "configmaps", Namespaced: true, Kind: "ConfigMap"},
			}},
			"/apis/apps/v1": metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList"}, GroupVersion: "apps/v1", APIResources: []metav1.APIResource{
				{Name: "daemonsets", Namespaced: true, Kind: "DaemonSet"},
			}},
		} {
			mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				Expect(json.NewEncoder(w).Encode(answer)).To(Succeed())
			})
		}
		server := httptest.NewServer(mux)
		defer server.Close()
		kubeconfig := filepath.Join(GinkgoT().TempDir(), "kubeconfig")
		Expect(os.WriteFile(kubeconfig, fmt.Appendf(nil, `{clusters: [{name: c, cluster: {server: %q}}], contexts: [{name: c, context: {cluster: c}}], current-context: c}`,
			server.URL), 0o600)).To(Succeed())
		options := &configOptions{global: &globalOptions{kubeconfig: kubeconfig, namespace: "backups"}, inPod: true}
		document, _, err := options.read(ctx, nil, nil)
		if err != nil {
			return "", err
		}
		return document.Source, nil
	}

	DescribeTable("takes the ConfigMap that the agents are given", func(ctx context.Context, args []string) {
		Expect(check(ctx, args...)).To(Equal("configmap backups/settings, key c"))
	},
		Entry("as one argument", []string{"node-agent", "server", "--features=EnableCSI", "--node-agent-configmap=settings"}),
		Entry("as two", []string{"node-agent", "server", "--log-level", "debug", "--node-agent-configmap", "settings", "--colorized"}),
	)

	It("says when they are given none", func(ctx context.Context) {
		_, err := check(ctx, "node-agent", "server", "--features=")
		Expect(err).To(MatchError("daemonset backups/node-agent has no --node-agent-configmap: every default counts"))
	})
})
