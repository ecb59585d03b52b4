// Package e2e runs what users run: stock Velero, a real kubelet, a CSI driver with snapshots. Run it with `make e2e`, which
// names the cluster in KUBECONFIG; without E2E_IMAGE nothing is run.
package e2e

import (
	"context"
	"os"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/node-agent/node-agent/test/controlplane"
)

const (
	veleroNamespace = "velero"

	// A machine with two cores takes its time to start pods.
	soon      = 2 * time.Minute
	aBackup   = 6 * time.Minute
	interval  = 250 * time.Millisecond
	specLimit = 15 * time.Minute
)

var (
	cluster client.Client
	pods    kubernetes.Interface

	// image is node-agent's, workloadImage that of the application; the cluster has to have both.
	image         = os.Getenv("E2E_IMAGE")
	workloadImage = os.Getenv("E2E_WORKLOAD_IMAGE")
	// storage and objects are the folders of csi-driver-host-path and of the object store, where the cluster is the testbed's.
	storage, objects = os.Getenv("E2E_STORAGE"), os.Getenv("E2E_OBJECTS")
)

func TestE2E(t *testing.T) {
	if image == "" {
		t.Skip("E2E_IMAGE is not set; `make e2e` sets it")
	}
	RegisterFailHandler(Fail)
	ctrllog.SetLogger(GinkgoLogr)
	SetDefaultEventuallyTimeout(soon)
	SetDefaultEventuallyPollingInterval(interval)
	RunSpecs(t, "end to end")
}

var _ = BeforeSuite(func(ctx context.Context) {
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	Expect(err).NotTo(HaveOccurred())
	config.QPS, config.Burst = -1, 0
	scheme, err := controlplane.Scheme()
	Expect(err).NotTo(HaveOccurred())
	cluster, err = client.New(config, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	pods, err = kubernetes.NewForConfig(config)
	Expect(err).NotTo(HaveOccurred())
	rememberStockAgent(ctx)
	if leastRights {
		grantLeastRights(ctx)
	}
})

var _ = AfterSuite(func(ctx context.Context) {
	if cluster != nil {
		useStockAgent(ctx)
	}
})

// What has failed is looked at before anything is cleaned up.
var _ = JustAfterEach(func(ctx SpecContext) {
	if CurrentSpecReport().Failed() {
		printState(ctx)
	}
})
