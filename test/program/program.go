// Package program builds the real node-agent for tests that run it.
package program

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/node-agent/node-agent/test/controlplane"
)

// Build returns the path of node-agent as the code is now. All test processes have the same path, so that it is linked only when
// something has changed. It has to be called with the working directory inside the module.
func Build(ctx context.Context) (string, error) {
	module, err := controlplane.ModuleDir()
	if err != nil {
		return "", err
	}
	path := filepath.Join(module, "bin", "test", "node-agent")
	command := exec.CommandContext(ctx, "go", "build", "-o", path, "./cmd/node-agent")
	command.Dir, command.Stderr = module, os.Stderr
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("build node-agent: %w", err)
	}
	return path, nil
}
