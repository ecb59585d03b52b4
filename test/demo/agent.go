package main

import (
	"context"

	"github.com/node-agent/node-agent/test/installation"
)

// startAgent runs the server in place of the one that runs. name tells its log from others.
func (d *demo) startAgent(ctx context.Context, name string, flags ...string) (err error) {
	if d.agent != nil {
		if err := d.agent.Stop(); err != nil {
			return err
		}
	}
	d.agent, err = installation.StartAgent(ctx, installation.AgentOptions{
		Program: d.program, Name: name, Node: nodeName, Manifests: d.manifests, Flags: flags,
		Client: d.client, Config: d.plane.Config, LogDir: d.logsDir(), ScratchDir: d.scratchDir(),
	})
	if err != nil {
		return err
	}
	return d.agent.WaitReady(ctx)
}
