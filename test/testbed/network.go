package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// forwarding is the setting of the machine that CNI switches on for its bridge.
const forwarding = "/proc/sys/net/ipv4/ip_forward"

// prepareNetwork makes the bridge of the pods. The address of the API server is on it too: pods reach what listens there
// without kube-proxy, and all of it goes away with the bridge.
func (b *bed) prepareNetwork(ctx context.Context) error {
	if _, err := net.InterfaceByName(bridge); err == nil {
		return nil
	}
	before, err := os.ReadFile(forwarding)
	if err != nil {
		return err
	}
	if err := os.WriteFile(b.path("run", "forwarding"), before, 0o600); err != nil {
		return err
	}
	for _, args := range [][]string{
		// Without an address of its own, a bridge takes that of some port, and pods lose it when that port goes.
		{"link", "add", bridge, "address", bridgeMAC, "type", "bridge"},
		{"address", "add", gateway, "dev", bridge},
		{"address", "add", apiAddress + "/32", "dev", bridge},
		{"link", "set", bridge, "up"},
	} {
		if err := command(ctx, "ip", args...); err != nil {
			return err
		}
	}
	return nil
}

func removeNetwork(ctx context.Context) error {
	if _, err := net.InterfaceByName(bridge); err != nil {
		return nil //nolint:nilerr // there is none
	}
	return command(ctx, "ip", "link", "delete", bridge)
}

// restoreForwarding sets it to what it was before the bridge was made.
func (b *bed) restoreForwarding() error {
	before, err := os.ReadFile(b.path("run", "forwarding"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.WriteFile(forwarding, before, 0o644) //nolint:gosec // the kernel's file
}

// shareMounts makes a folder a mount of its own whose mounts pods can see, as a kubelet's folder has to be.
func shareMounts(folder string) error {
	mounted, err := mountsBelow(folder)
	if err != nil {
		return err
	}
	if len(mounted) == 0 {
		if err := unix.Mount(folder, folder, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount %s on itself: %w", folder, err)
		}
	}
	if err := unix.Mount("", folder, "", unix.MS_SHARED|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("share mounts of %s: %w", folder, err)
	}
	return nil
}

// mountsBelow are the mount points in a folder and the folder itself, the newest first.
func mountsBelow(folder string) ([]string, error) {
	content, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var found []string
	for line := range strings.Lines(string(content)) {
		const mountPoint = 4
		if fields := strings.Fields(line); len(fields) > mountPoint {
			if point := fields[mountPoint]; point == folder || strings.HasPrefix(point, folder+"/") {
				found = append([]string{point}, found...)
			}
		}
	}
	return found, nil
}

func unmountAll(folder string) error {
	mounted, err := mountsBelow(folder)
	if err != nil {
		return err
	}
	for _, point := range mounted {
		if err := unix.Unmount(point, unix.MNT_DETACH); err != nil {
			return fmt.Errorf("unmount %s: %w", point, err)
		}
	}
	return nil
}
