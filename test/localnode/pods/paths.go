package pods

import (
	"fmt"
	"path"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// pathMap maps paths as a container sees them to paths on this machine.
type pathMap map[string]string

// localPaths maps the mounts and devices of a container. volumes are local paths by volume name.
func localPaths(container corev1.Container, volumes map[string]string) (pathMap, error) {
	paths := pathMap{}
	for _, mount := range container.VolumeMounts {
		local, found := volumes[mount.Name]
		if !found {
			return nil, fmt.Errorf("volume %q of mount %s not found", mount.Name, mount.MountPath)
		}
		paths[path.Clean(mount.MountPath)] = filepath.Join(local, mount.SubPath)
	}
	for _, device := range container.VolumeDevices {
		local, found := volumes[device.Name]
		if !found {
			return nil, fmt.Errorf("volume %q of device %s not found", device.Name, device.DevicePath)
		}
		paths[path.Clean(device.DevicePath)] = local
	}
	return paths, nil
}

// rewrite replaces the longest of the paths that a value begins with.
func (p pathMap) rewrite(value string) string {
	longest := ""
	for inside := range p {
		if (value == inside || strings.HasPrefix(value, inside+"/")) && len(inside) > len(longest) {
			longest = inside
		}
	}
	if longest == "" {
		return value
	}
	return p[longest] + strings.TrimPrefix(value, longest)
}

// rewriteArgument does the same for an argument, which may be --flag=path.
func (p pathMap) rewriteArgument(argument string) string {
	flag, value, found := strings.Cut(argument, "=")
	if !found || !strings.HasPrefix(flag, "-") {
		return p.rewrite(argument)
	}
	return flag + "=" + p.rewrite(value)
}
