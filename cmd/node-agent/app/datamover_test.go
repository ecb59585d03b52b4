package app

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/attempts"
)

var _ = Describe("The exit code of a data mover", func() {
	DescribeTable("tells the agent whether another attempt makes sense",
		func(change func(*v2alpha1.DataUpload), want int, message string) {
			du := &v2alpha1.DataUpload{
				TypeMeta:   metav1.TypeMeta{APIVersion: v2alpha1.GroupVersion.String(), Kind: "DataUpload"},
				ObjectMeta: metav1.ObjectMeta{Namespace: "velero", Name: "du", UID: "uid"},
			}
			change(du)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				_ = json.NewEncoder(w).Encode(du)
			}))
			DeferCleanup(server.Close)

			dir := GinkgoT().TempDir()
			config := clientcmdapi.NewConfig()
			config.Clusters["c"] = &clientcmdapi.Cluster{Server: server.URL}
			config.Contexts["c"] = &clientcmdapi.Context{Cluster: "c"}
			config.CurrentContext = "c"
			kubeconfig := filepath.Join(dir, "kubeconfig")
			Expect(clientcmd.WriteToFile(*config, kubeconfig)).To(Succeed())
			GinkgoT().Setenv("VELERO_SCRATCH_DIR", dir)
			termination := filepath.Join(dir, "termination-log")

			code, _, stderr := run(backupArgs("--kubeconfig="+kubeconfig, "--attempt=1", "--termination-message-path="+termination)...)
			Expect(code).To(Equal(want))
			Expect(stderr).To(Equal("node-agent: " + message + "\n"))
			Expect(os.ReadFile(termination)).To(BeEquivalentTo(message))
			Expect(filepath.Glob(filepath.Join(dir, "data-mover-*"))).To(BeEmpty())
		},
		Entry("it does not after a cancellation",
			func(du *v2alpha1.DataUpload) { du.Spec.Cancel = true },
			1, "DataUpload velero/du was asked to cancel: data path is canceled"),
		Entry("it does once the attempt was given up",
			func(du *v2alpha1.DataUpload) { attempts.Record(du, attempts.Lost{Reason: "evicted"}) },
			75, "attempt 1 at DataUpload velero/du was given up, it is at attempt 2"),
	)
})
