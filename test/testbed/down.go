package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const podsTimeout = 2 * time.Minute

// down stops everything and removes what it has left. Every part is tried, whatever fails before it.
func (b *bed) down(ctx context.Context) error {
	if _, err := os.Stat(state); errors.Is(err, fs.ErrNotExist) {
		return removeNetwork(ctx)
	}
	// The kubelet goes first, for it would start the pods again.
	failures := []error{b.stop(ctx, "kubelet")}
	if b.pid("containerd") != 0 {
		failures = append(failures, b.removePods(ctx))
	}
	for _, p := range slices.Backward(b.programs()) {
		failures = append(failures, b.stop(ctx, p.name))
	}
	failures = append(failures, detachLoops(state), unmountAll(state), removeCgroups(), removeFixedTraces(),
		removeNetwork(ctx), b.restoreForwarding())
	if err := errors.Join(failures...); err != nil {
		return fmt.Errorf("%w (%s is kept)", err, state)
	}
	return os.RemoveAll(state)
}

// removePods removes all pods the way a kubelet does, so that their processes, mounts and networks go with them.
func (b *bed) removePods(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, podsTimeout)
	defer cancel()
	connection, err := grpc.NewClient("unix://"+b.containerdSocket(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	client := runtimeapi.NewRuntimeServiceClient(connection)
	pods, err := client.ListPodSandbox(ctx, &runtimeapi.ListPodSandboxRequest{})
	if err != nil {
		return fmt.Errorf("list pods: %w", err)
	}
	for _, pod := range pods.Items {
		if _, err := client.StopPodSandbox(ctx, &runtimeapi.StopPodSandboxRequest{PodSandboxId: pod.Id}); err != nil {
			return fmt.Errorf("stop pod %s/%s: %w", pod.Metadata.Namespace, pod.Metadata.Name, err)
		}
		if _, err := client.RemovePodSandbox(ctx, &runtimeapi.RemovePodSandboxRequest{PodSandboxId: pod.Id}); err != nil {
			return fmt.Errorf("remove pod %s/%s: %w", pod.Metadata.Namespace, pod.Metadata.Name, err)
		}
	}
	return nil
}

// detachLoops frees the loop devices of block volumes whose files are in a folder.
func detachLoops(folder string) error {
	paths, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		return err
	}
	var failures []error
	for _, path := range paths {
		file, err := os.ReadFile(path)
		if err != nil || !strings.HasPrefix(string(file), folder+"/") {
			continue // It may have been freed in the meantime.
		}
		device := "/dev/" + strings.Split(path, "/")[3]
		failures = append(failures, command(context.Background(), "losetup", "--detach", device))
	}
	return errors.Join(failures...)
}

// removeCgroups removes the groups of pods in every hierarchy; a group can be removed when those inside it are.
func removeCgroups() error {
	var groups []string
	roots, err := filepath.Glob("/sys/fs/cgroup/*/kubepods")
	if err != nil {
		return err
	}
	for _, root := range append(roots, "/sys/fs/cgroup/kubepods") {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				groups = append(groups, path)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	var failures []error
	for _, group := range slices.Backward(groups) {
		failures = append(failures, os.Remove(group))
	}
	return errors.Join(failures...)
}

// removeFixedTraces removes what a kubelet and containerd write at fixed places, if it is of this cluster.
func removeFixedTraces() error {
	links, err := filepath.Glob("/var/log/containers/*")
	if err != nil {
		return err
	}
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && strings.HasPrefix(target, state) {
			if err := os.Remove(link); err != nil {
				return err
			}
		}
	}
	for _, file := range []string{"kubelet.sock", "kubelet_internal_checkpoint", "DEPRECATION"} {
		_ = os.Remove(filepath.Join("/var/lib/kubelet/device-plugins", file)) // It need not be there.
	}
	for _, folder := range []string{
		"/var/log/containers", "/var/lib/kubelet/device-plugins", "/var/lib/kubelet",
		"/var/lib/cni/results", "/var/lib/cni/cache", "/var/lib/cni",
		"/run/containerd/s", "/run/containerd/runc", "/run/containerd", "/run/mount",
	} {
		_ = os.Remove(folder) // Only an empty folder goes away.
	}
	return nil
}
