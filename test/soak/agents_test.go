package soak

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/test/installation"
)

// restartDelay is how long the kubelet of a DaemonSet takes to start an agent again.
const restartDelay = time.Second

// crew are agents that are started again when they end, as a DaemonSet's are.
type crew struct {
	cancel  context.CancelFunc
	keepers sync.WaitGroup

	mu     sync.Mutex
	agents map[string]*installation.Agent
	// restarts counts agents that ended, whoever ended them.
	restarts int
	failure  error
}

// startCrew runs an agent for each of the nodes named.
func startCrew(ctx context.Context, names ...string) (*crew, error) {
	ctx, cancel := context.WithCancel(ctx)
	c := &crew{cancel: cancel, agents: map[string]*installation.Agent{}}
	for _, name := range names {
		if err := c.start(ctx, name); err != nil {
			cancel()
			return nil, err
		}
		c.keepers.Go(func() { c.keep(ctx, name) })
	}
	return c, nil
}

func (c *crew) start(ctx context.Context, name string) error {
	agent, err := installation.StartAgent(ctx, installation.AgentOptions{
		Program: agentPath, Name: "agent-on-" + name, Node: name, Manifests: manifests,
		Flags:  []string{"--node-agent-configmap=" + agentConfig, fmt.Sprintf("--data-mover-max-attempts=%d", maxAttempts)},
		Client: cluster, Config: proxy.Config(), LogDir: filepath.Join(dir, "logs"), ScratchDir: filepath.Join(dir, "scratch"),
	})
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.agents[name] = agent
	return nil
}

// keep starts the agent of a node again whenever it ends.
func (c *crew) keep(ctx context.Context, name string) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.all()[name].Ended():
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(restartDelay):
		}
		err := c.start(ctx, name)
		c.mu.Lock()
		c.restarts++
		c.failure = err
		c.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (c *crew) all() map[string]*installation.Agent {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.agents)
}

// leader is the agent that says that it leads, or nil.
func (c *crew) leader(ctx context.Context) *installation.Agent {
	for _, agent := range c.all() {
		if agent.Leads(ctx) {
			return agent
		}
	}
	return nil
}

func (c *crew) restarted() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.restarts
}

// stop ends all agents, and tells of one that could not be started again.
func (c *crew) stop() error {
	c.cancel()
	c.keepers.Wait()
	for _, agent := range c.all() {
		if err := agent.Stop(); err != nil {
			return err
		}
	}
	return c.failure
}

// holder is who holds the lease, or empty.
func holder(ctx context.Context) string {
	lease := &coordinationv1.Lease{}
	err := cluster.Get(ctx, client.ObjectKey{Namespace: installation.VeleroNamespace, Name: "node-agent"}, lease)
	if err != nil || lease.Spec.HolderIdentity == nil {
		return ""
	}
	return *lease.Spec.HolderIdentity
}
