// Package integration drives the real reconciler against a real kube-apiserver. What a cluster's other controllers
// would do is played by test/cluster; time is a fake clock.
package integration

import (
	"context"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/sirupsen/logrus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
	"github.com/node-agent/node-agent/pkg/controller/dataupload"
	"github.com/node-agent/node-agent/pkg/controller/engine"
	"github.com/node-agent/node-agent/pkg/logging"
	"github.com/node-agent/node-agent/test/cluster"
	"github.com/node-agent/node-agent/test/controlplane"
)

const (
	velero     = cluster.Velero
	nodeName   = cluster.Node
	fastClass  = cluster.FastClass
	lateClass  = cluster.LateClass
	copyClass  = cluster.CopyClass
	goodPlace  = cluster.Location
	cacheDelay = 10 * time.Second
)

var (
	plane  *controlplane.ControlPlane
	live   client.Client // reads and writes the API server
	known  client.Client // does not read again what nobody in this process has written to
	cached client.Client // reads the reconciler's cache

	reconcilerCache client.Reader
)

func TestIntegration(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Integration")
}

var _ = BeforeSuite(func() {
	log := logrus.New()
	log.SetOutput(GinkgoWriter)
	logging.Bridge(log)
	SetDefaultEventuallyTimeout(cacheDelay)
	SetDefaultEventuallyPollingInterval(5 * time.Millisecond)

	var err error
	plane, err = controlplane.Start()
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(plane.Stop()).To(Succeed()) })
	scheme, err := controlplane.Scheme()
	Expect(err).NotTo(HaveOccurred())
	known, err = plane.Remember()
	Expect(err).NotTo(HaveOccurred())
	live, err = client.New(plane.Config, client.Options{Scheme: scheme, Mapper: known.RESTMapper()})
	Expect(err).NotTo(HaveOccurred())
	world = cluster.New(known)
	makeCommonObjects(context.Background())

	mgr, err := ctrl.NewManager(plane.Config, ctrl.Options{
		Scheme:  scheme,
		Cache:   engine.CacheOptions(velero),
		Metrics: metricsserver.Options{BindAddress: "0"},
	})
	Expect(err).NotTo(HaveOccurred())
	cached, reconcilerCache = mgr.GetClient(), mgr.GetCache()
	ctx, stop := context.WithCancel(context.Background())
	Expect(engine.AddIndexes(ctx, mgr.GetFieldIndexer())).To(Succeed())
	Expect(dataupload.AddIndexes(ctx, mgr.GetFieldIndexer())).To(Succeed())
	ended := make(chan struct{})
	go func() {
		defer GinkgoRecover()
		defer close(ended)
		Expect(mgr.Start(ctx)).To(Succeed())
	}()
	Expect(mgr.GetCache().WaitForCacheSync(ctx)).To(BeTrue())
	DeferCleanup(func() { stop(); <-ended })
})

// makeCommonObjects makes what an installation has before the first DataUpload.
func makeCommonObjects(ctx context.Context) {
	world.Install(ctx)
	Expect(live.Create(ctx, &velerov1.BackupStorageLocation{
		ObjectMeta: metav1.ObjectMeta{Namespace: velero, Name: goodPlace},
		Spec:       velerov1.BackupStorageLocationSpec{Provider: "aws"},
	})).To(Succeed())
	Expect(live.Create(ctx, &velerov1.BackupStorageLocation{
		ObjectMeta: metav1.ObjectMeta{Namespace: velero, Name: "archive"},
		Spec: velerov1.BackupStorageLocationSpec{
			Provider: "aws", AccessMode: velerov1.BackupStorageLocationReadOnly,
		},
	})).To(Succeed())
}
