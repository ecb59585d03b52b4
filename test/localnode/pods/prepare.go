package pods

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/test/localnode/identity"
)

// terminationMessageFlag tells the mover where to leave its result, because it cannot write to /dev/termination-log.
const terminationMessageFlag = "--termination-message-path"

// prepare makes directories, mounts and credentials for a pod, and the commands that its containers become.
func (k *kubelet) prepare(ctx context.Context, pod *corev1.Pod) ([]command, error) {
	dir := filepath.Join(k.podsDir(), string(pod.UID))
	for _, sub := range []string{"home", "tmp", "volumes"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, fmt.Errorf("make directory of pod: %w", err)
		}
	}
	volumes, err := k.mountVolumes(ctx, pod, filepath.Join(dir, "volumes"))
	if err != nil {
		return nil, err
	}
	base := []string{
		"PATH=" + os.Getenv("PATH"),
		"HOSTNAME=" + pod.Name,
		"HOME=" + filepath.Join(dir, "home"),
		"TMPDIR=" + filepath.Join(dir, "tmp"),
	}
	if pod.Spec.ServiceAccountName != "" {
		kubeconfig := filepath.Join(dir, "kubeconfig")
		if err := identity.WriteForPod(ctx, k.Client, k.options.Config, pod, kubeconfig); err != nil {
			return nil, fmt.Errorf("MountVolume.SetUp failed for volume \"kube-api-access\" : %w", err)
		}
		base = append(base, "KUBECONFIG="+kubeconfig)
	}
	commands := make([]command, 0, len(pod.Spec.Containers))
	for _, container := range pod.Spec.Containers {
		c, err := k.command(ctx, pod, container, dir, volumes)
		if err != nil {
			return nil, err
		}
		c.env = slices.Concat(base, c.env)
		commands = append(commands, c)
	}
	return commands, nil
}

// command turns a container into a program with arguments and environment.
func (k *kubelet) command(
	ctx context.Context, pod *corev1.Pod, container corev1.Container, dir string, volumes map[string]string,
) (command, error) {
	logs := filepath.Join(k.logsDir(), fmt.Sprintf("%s_%s_%s", pod.Namespace, pod.Name, pod.UID))
	if err := os.MkdirAll(logs, 0o750); err != nil {
		return command{}, fmt.Errorf("make log directory: %w", err)
	}
	c := command{
		dir:            dir,
		log:            filepath.Join(logs, container.Name+".log"),
		message:        filepath.Join(dir, container.Name+".termination"),
		messageFromLog: container.TerminationMessagePolicy == corev1.TerminationMessageFallbackToLogsOnError,
	}
	paths, err := localPaths(container, volumes)
	if err != nil {
		return command{}, configError{container: container.Name, error: err}
	}
	paths[container.TerminationMessagePath] = c.message
	env, err := k.environment(ctx, pod, container)
	if err != nil {
		return command{}, configError{container: container.Name, error: err}
	}
	c.args = slices.Concat(container.Command, container.Args)
	if len(c.args) == 0 {
		return command{}, configError{container: container.Name, error: errors.New("no command specified")}
	}
	if program, found := k.options.Programs[c.args[0]]; found {
		c.args[0] = program
		if slices.Contains(c.args, "data-mover") {
			c.args = append(c.args, terminationMessageFlag+"="+container.TerminationMessagePath)
		}
	}
	for i := range c.args[1:] {
		c.args[i+1] = paths.rewriteArgument(c.args[i+1])
	}
	for _, variable := range env {
		c.env = append(c.env, variable.Name+"="+paths.rewrite(variable.Value))
	}
	return c, nil
}

// environment resolves the variables of a container, those of envFrom first.
func (k *kubelet) environment(ctx context.Context, pod *corev1.Pod, container corev1.Container) ([]corev1.EnvVar, error) {
	var env []corev1.EnvVar
	for _, from := range container.EnvFrom {
		data, err := k.source(ctx, pod.Namespace, from)
		if err != nil {
			return nil, err
		}
		for _, key := range sortedKeys(data) {
			env = append(env, corev1.EnvVar{Name: from.Prefix + key, Value: string(data[key])})
		}
	}
	for _, variable := range container.Env {
		value, found, err := k.value(ctx, pod, variable)
		if err != nil {
			return nil, err
		}
		if found {
			env = append(env, corev1.EnvVar{Name: variable.Name, Value: value})
		}
	}
	return env, nil
}

// value resolves one variable; found is false for an optional one whose source is missing.
func (k *kubelet) value(ctx context.Context, pod *corev1.Pod, variable corev1.EnvVar) (value string, found bool, err error) {
	from := variable.ValueFrom
	switch {
	case from == nil:
		return variable.Value, true, nil
	case from.FieldRef != nil:
		value, err = fieldValue(pod, from.FieldRef.FieldPath)
		return value, err == nil, err
	case from.SecretKeyRef != nil:
		ref := from.SecretKeyRef
		data, err := k.secret(ctx, pod.Namespace, ref.Name, isTrue(ref.Optional))
		return pick(data, "Secret", pod.Namespace, ref.Name, ref.Key, isTrue(ref.Optional), err)
	case from.ConfigMapKeyRef != nil:
		ref := from.ConfigMapKeyRef
		data, err := k.configMap(ctx, pod.Namespace, ref.Name, isTrue(ref.Optional))
		return pick(data, "ConfigMap", pod.Namespace, ref.Name, ref.Key, isTrue(ref.Optional), err)
	default:
		return "", false, fmt.Errorf("the local node cannot resolve the source of variable %s", variable.Name)
	}
}

func pick(data map[string][]byte, kind, namespace, name, key string, optional bool, err error) (string, bool, error) {
	if err != nil {
		return "", false, err
	}
	value, found := data[key]
	if !found && !optional {
		return "", false, fmt.Errorf("couldn't find key %s in %s %s/%s", key, kind, namespace, name)
	}
	return string(value), found, nil
}

// fieldValue resolves the fields of the downward API that DaemonSets like node-agent's use.
func fieldValue(pod *corev1.Pod, path string) (string, error) {
	switch path {
	case "metadata.name":
		return pod.Name, nil
	case "metadata.namespace":
		return pod.Namespace, nil
	case "metadata.uid":
		return string(pod.UID), nil
	case "spec.nodeName":
		return pod.Spec.NodeName, nil
	case "spec.serviceAccountName":
		return pod.Spec.ServiceAccountName, nil
	case "status.podIP", "status.hostIP":
		return localhost, nil
	default:
		return "", fmt.Errorf("unsupported pod field path %q", path)
	}
}

func (k *kubelet) source(ctx context.Context, namespace string, from corev1.EnvFromSource) (map[string][]byte, error) {
	switch {
	case from.SecretRef != nil:
		return k.secret(ctx, namespace, from.SecretRef.Name, isTrue(from.SecretRef.Optional))
	case from.ConfigMapRef != nil:
		return k.configMap(ctx, namespace, from.ConfigMapRef.Name, isTrue(from.ConfigMapRef.Optional))
	default:
		return nil, nil
	}
}

func (k *kubelet) secret(ctx context.Context, namespace, name string, optional bool) (map[string][]byte, error) {
	secret := &corev1.Secret{}
	err := k.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, secret)
	if optional {
		err = client.IgnoreNotFound(err)
	}
	return secret.Data, err
}

func (k *kubelet) configMap(ctx context.Context, namespace, name string, optional bool) (map[string][]byte, error) {
	configMap := &corev1.ConfigMap{}
	err := k.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, configMap)
	if optional {
		err = client.IgnoreNotFound(err)
	}
	data := map[string][]byte{}
	for key, value := range configMap.Data {
		data[key] = []byte(value)
	}
	return data, err
}

// configError means that a container cannot be configured.
type configError struct {
	container string
	error
}

func (e configError) Unwrap() error { return e.error }

func isTrue(b *bool) bool { return b != nil && *b }
