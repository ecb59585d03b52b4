package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// installPackages installs what comes from Debian rather than from a Go module.
func (*bed) installPackages(ctx context.Context) error {
	missing := missingPackages()
	if len(missing) == 0 {
		return nil
	}
	install := append([]string{"install", "--yes", "--no-install-recommends"}, missing...)
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("install these first: %s", strings.Join(missing, ", "))
	}
	if err := os.Setenv("DEBIAN_FRONTEND", "noninteractive"); err != nil {
		return err
	}
	if err := command(ctx, "apt-get", "update"); err != nil {
		return err
	}
	return command(ctx, "apt-get", install...)
}

func missingPackages() []string {
	var missing []string
	for _, needed := range []struct{ program, debianPackage string }{
		{"containerd", "containerd"}, {"ctr", "containerd"}, {"runc", "runc"}, {"ip", "iproute2"}, {"tar", "tar"}, {"losetup", "mount"},
		{"/usr/lib/cni/bridge", "containernetworking-plugins"},
	} {
		if _, err := exec.LookPath(needed.program); err != nil {
			missing = append(missing, needed.debianPackage)
		}
	}
	return missing
}
