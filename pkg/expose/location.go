package expose

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
)

const (
	// SecretsDirVariable tells a mover where the Secrets of its storage location are: one folder each, one file per key.
	SecretsDirVariable = "NODE_AGENT_SECRETS_DIR"

	secretsVolume = "location-secrets"
	secretsDir    = "/location-secrets"
	secretsMode   = 0o400
)

// WithSecretsOf adds the Secrets that a storage location and its repositories need, so that a mover need not read Secrets from
// the API server. One that does not exist is left out: the mover says so, and the pod starts.
func (t AgentTemplate) WithSecretsOf(location *velerov1.BackupStorageLocation) AgentTemplate {
	keys := []corev1.SecretKeySelector{{
		LocalObjectReference: corev1.LocalObjectReference{Name: velerov1.RepositoryPasswordSecret}, Key: velerov1.RepositoryPasswordKey,
	}}
	if location.Spec.Credential != nil {
		keys = append(keys, *location.Spec.Credential)
	}
	if storage := location.Spec.ObjectStorage; storage != nil && storage.CACertRef != nil {
		keys = append(keys, *storage.CACertRef)
	}
	var sources []corev1.VolumeProjection
	var paths []string
	for _, selector := range keys {
		path := selector.Name + "/" + selector.Key
		if selector.Name == "" || selector.Key == "" || slices.Contains(paths, path) {
			continue
		}
		paths = append(paths, path)
		sources = append(sources, corev1.VolumeProjection{Secret: &corev1.SecretProjection{
			LocalObjectReference: selector.LocalObjectReference,
			Items:                []corev1.KeyToPath{{Key: selector.Key, Path: path}},
			Optional:             new(true),
		}})
	}
	t.Volumes = append(slices.Clone(t.Volumes), corev1.Volume{Name: secretsVolume, VolumeSource: corev1.VolumeSource{
		Projected: &corev1.ProjectedVolumeSource{Sources: sources, DefaultMode: new(int32(secretsMode))},
	}})
	t.VolumeMounts = append(slices.Clone(t.VolumeMounts),
		corev1.VolumeMount{Name: secretsVolume, MountPath: secretsDir, ReadOnly: true})
	t.Env = append(slices.Clone(t.Env), corev1.EnvVar{Name: SecretsDirVariable, Value: secretsDir})
	return t
}
