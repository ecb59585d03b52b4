// Package soak runs the real node-agent against a real API server, with the local node as the rest of the cluster: its
// movers are real processes and its repositories real Kopia repositories. Here it is tested what takes whole processes:
// that they are killed, and that everything goes wrong at random for a long time.
package soak

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-logr/logr"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/sirupsen/logrus"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/logging"
	"github.com/node-agent/node-agent/test/controlplane"
	"github.com/node-agent/node-agent/test/faultproxy"
	"github.com/node-agent/node-agent/test/installation"
	"github.com/node-agent/node-agent/test/localnode"
	"github.com/node-agent/node-agent/test/program"
)

const (
	class = "standard"
	// heldClass is mapped to a class that does not exist until a test makes it.
	heldClass, laterClass = "held", "later"

	agentConfig     = "node-agent-config"
	agentConfigText = `{"backupPVC": {"held": {"storageClass": "later"}}}`

	maxAttempts = 3
)

// nodes are few enough for DataUploads to wait for slots.
var nodes = []string{"node-1", "node-2", "node-3"}

var (
	dir       string // holds the repositories and all logs
	agentPath string // of node-agent
	plane     *controlplane.ControlPlane
	cluster   client.WithWatch
	proxy     *faultproxy.Proxy
	node      *localnode.Node
	manifests *installation.Manifests
	sources   []*source
	seen      *tracker
	seed      uint64
)

func TestSoak(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "soak")
}

var _ = BeforeSuite(func(ctx context.Context) {
	SetDefaultEventuallyTimeout(30 * time.Second)
	SetDefaultEventuallyPollingInterval(50 * time.Millisecond)
	silent := logrus.New()
	silent.SetOutput(io.Discard) // the local node tells of each conflict
	logging.Bridge(silent)

	seed = seedFromEnvironment()
	var err error
	dir, err = os.MkdirTemp("", "node-agent-soak-")
	Expect(err).NotTo(HaveOccurred())
	for _, sub := range []string{"repository", "restored", "logs", "scratch"} {
		Expect(os.Mkdir(filepath.Join(dir, sub), 0o750)).To(Succeed())
	}
	DeferCleanup(removeUnlessFailed)
	agentPath, err = program.Build(ctx)
	Expect(err).NotTo(HaveOccurred())

	plane, err = controlplane.Start()
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(plane.Stop()).To(Succeed()) })
	scheme, err := controlplane.Scheme()
	Expect(err).NotTo(HaveOccurred())
	cluster, err = client.NewWithWatch(plane.Config, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	proxy, err = faultproxy.Start(plane.Config, random("API"))
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(proxy.Close)
	manifests, err = installation.LoadManifests(scheme)
	Expect(err).NotTo(HaveOccurred())
	install(ctx)
	startNode()
	seen, err = startTracker(scheme)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { seen.stop() })
	makeSources(ctx)
})

// install creates what an installation has before the first backup.
func install(ctx context.Context) {
	objects := []client.Object{
		installation.NewNamespace(installation.VeleroNamespace), installation.NewNamespace("shop"), installation.NewNamespace("office"),
		installation.NewStorageClass(class), installation.NewStorageClass(heldClass), installation.NewSnapshotClass(),
		installation.NewPasswordSecret(), installation.NewLocation(filepath.Join(dir, "repository")),
		installation.NewConfigMap(agentConfig, agentConfigText),
	}
	for _, object := range append(objects, manifests.Objects...) {
		Expect(cluster.Create(ctx, object)).To(Succeed())
	}
}

func startNode() {
	var err error
	node, err = localnode.Start(context.Background(), localnode.Options{
		Config: plane.Config, PodConfig: proxy.Config(), Root: filepath.Join(dir, "node"), Nodes: nodes,
		Images:   []string{manifests.Container.Image},
		Programs: map[string]string{"/velero": agentPath, "/node-agent": agentPath},
		Log:      logr.Discard(),
	})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(node.Stop()).To(Succeed()) })
}

// removeUnlessFailed keeps the logs of a run that went wrong.
func removeUnlessFailed() {
	if CurrentSpecReport().Failed() || anyFailed {
		fmt.Printf("logs, repositories and what was restored: %s (seed %d)\n", dir, seed)
		return
	}
	Expect(os.RemoveAll(dir)).To(Succeed())
}

var anyFailed bool

var _ = ReportAfterEach(func(report SpecReport) { anyFailed = anyFailed || report.Failed() })

// random is a source of random numbers for one purpose: what one draws does not change what others do.
func random(purpose string, number ...int) *rand.Rand {
	text := fmt.Sprintln(seed, purpose, number)
	var key [32]byte
	for i := range len(text) {
		key[i%len(key)] = key[i%len(key)]*31 + text[i]
	}
	return rand.New(rand.NewChaCha8(key))
}
