// Package faults plays whole runs of DataUploads and DataDownloads, with the real reconcilers, the real mover, a real kube-apiserver and a
// real Kopia repository, and lets things go wrong on the way: every API call can fail in every way, watch events can be
// lost, and the cache can lag. Each run ends in a verdict; all verdicts together make a table.
package faults

import (
	"context"
	"os"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/logging"
	"github.com/node-agent/node-agent/test/cluster"
	"github.com/node-agent/node-agent/test/controlplane"
)

var (
	plane *controlplane.ControlPlane
	live  client.Client // reads and writes the API server, and nothing ever goes wrong with it
	world *cluster.Cluster
	store *objectStore
)

func TestFaults(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Faults")
}

var _ = BeforeSuite(func(ctx context.Context) {
	log := logrus.New()
	log.SetOutput(GinkgoWriter)
	logging.Bridge(log)

	var err error
	plane, err = controlplane.Start(controlplane.WithoutWatchCache)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(plane.Stop()).To(Succeed()) })
	live, err = plane.Remember()
	Expect(err).NotTo(HaveOccurred())
	world = cluster.New(live)
	world.Install(ctx)
	world.ReadyRepository(ctx)
	tolerateEverything(ctx)

	dir, err := os.MkdirTemp(memory(), "faults-")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(os.RemoveAll(dir)).To(Succeed()) })
	store = newObjectStore(ctx, dir)
	DeferCleanup(func(ctx context.Context) { store.close(ctx) })
})

// tolerateEverything lets the agents run on every node, whatever state it is in.
func tolerateEverything(ctx context.Context) {
	daemonSet := &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: cluster.Velero, Name: "node-agent"}}
	patch := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"template":{"spec":{"tolerations":[{"operator":"Exists"}]}}}}`))
	Expect(live.Patch(ctx, daemonSet, patch)).To(Succeed())
}

// memory is a directory in memory if there is enough, else empty: a restore flushes its file system, which on a busy disk
// waits for the writes of everybody else.
func memory() string {
	const dir, enough = "/dev/shm", 1 << 30
	var stat unix.Statfs_t
	if unix.Statfs(dir, &stat) == nil && stat.Bavail*uint64(stat.Bsize) >= enough && unix.Access(dir, unix.W_OK|unix.X_OK) == nil {
		return dir
	}
	return ""
}
