package pods

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// mountVolumes makes all volumes of a pod available and returns where they are, by name.
func (k *kubelet) mountVolumes(ctx context.Context, pod *corev1.Pod, dir string) (map[string]string, error) {
	paths := map[string]string{}
	for _, volume := range pod.Spec.Volumes {
		path, err := k.mountVolume(ctx, pod, volume, filepath.Join(dir, volume.Name))
		if err != nil {
			return nil, fmt.Errorf("MountVolume.SetUp failed for volume %q : %w", volume.Name, err)
		}
		paths[volume.Name] = path
	}
	return paths, nil
}

func (k *kubelet) mountVolume(ctx context.Context, pod *corev1.Pod, volume corev1.Volume, path string) (string, error) {
	switch {
	case volume.PersistentVolumeClaim != nil:
		return k.mountClaim(ctx, pod, volume.PersistentVolumeClaim.ClaimName)
	case volume.EmptyDir != nil:
		return path, os.MkdirAll(path, 0o750)
	case volume.HostPath != nil:
		return volume.HostPath.Path, nil
	case volume.Secret != nil:
		from := volume.Secret
		data, err := k.secret(ctx, pod.Namespace, from.SecretName, isTrue(from.Optional))
		return path, errors.Join(err, writeFiles(path, project(data, from.Items), from.DefaultMode))
	case volume.ConfigMap != nil:
		from := volume.ConfigMap
		data, err := k.configMap(ctx, pod.Namespace, from.Name, isTrue(from.Optional))
		return path, errors.Join(err, writeFiles(path, project(data, from.Items), from.DefaultMode))
	case volume.Projected != nil:
		return path, k.mountProjected(ctx, pod, volume.Projected, path)
	default:
		return "", errors.New("the local node cannot mount volumes of this kind")
	}
}

// mountProjected puts several Secrets into one directory.
func (k *kubelet) mountProjected(ctx context.Context, pod *corev1.Pod, from *corev1.ProjectedVolumeSource, path string) error {
	for _, source := range from.Sources {
		if source.Secret == nil {
			return errors.New("the local node cannot project anything but Secrets")
		}
		data, err := k.secret(ctx, pod.Namespace, source.Secret.Name, isTrue(source.Secret.Optional))
		if err := errors.Join(err, writeFiles(path, project(data, source.Secret.Items), from.DefaultMode)); err != nil {
			return err
		}
	}
	return nil
}

// mountClaim returns the directory or file of a claim's volume and keeps it from being deleted.
func (k *kubelet) mountClaim(ctx context.Context, pod *corev1.Pod, name string) (string, error) {
	claim := &corev1.PersistentVolumeClaim{}
	if err := k.Get(ctx, types.NamespacedName{Namespace: pod.Namespace, Name: name}, claim); err != nil {
		return "", err
	}
	if claim.Status.Phase != corev1.ClaimBound {
		return "", fmt.Errorf("persistentvolumeclaim %q is not bound", name)
	}
	volume := &corev1.PersistentVolume{}
	if err := k.Get(ctx, types.NamespacedName{Name: claim.Spec.VolumeName}, volume); err != nil {
		return "", err
	}
	if volume.Spec.CSI == nil || volume.Spec.CSI.Driver != k.options.Driver {
		return "", fmt.Errorf("volume %s is not of driver %s", volume.Name, k.options.Driver)
	}
	return k.disks.Publish(volume.Spec.CSI.VolumeHandle, podKey(pod.UID))
}

// project renames and selects keys as items of a volume say; without items, every key is a file.
func project(data map[string][]byte, items []corev1.KeyToPath) map[string][]byte {
	if len(items) == 0 {
		return data
	}
	files := map[string][]byte{}
	for _, item := range items {
		if value, found := data[item.Key]; found {
			files[item.Path] = value
		}
	}
	return files
}

func writeFiles(dir string, files map[string][]byte, mode *int32) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, name := range sortedKeys(files) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		permissions := os.FileMode(corev1.SecretVolumeSourceDefaultMode)
		if mode != nil {
			permissions = os.FileMode(*mode)
		}
		// Written anew each time: an earlier one may be read-only.
		if err := errors.Join(os.RemoveAll(path), os.WriteFile(path, files[name], permissions)); err != nil {
			return err
		}
	}
	return nil
}

func sortedKeys(data map[string][]byte) []string {
	return slices.Sorted(maps.Keys(data))
}
