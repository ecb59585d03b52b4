package expose

import (
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

const (
	// ScratchVariable names the directory that a mover may write to. It is Velero's.
	ScratchVariable = "VELERO_SCRATCH_DIR"
	// tempVariable names the directory for what libraries write.
	tempVariable = "TMPDIR"

	scratchVolume = "mover-scratch"
	scratchDir    = "/mover-scratch"
)

// withScratch makes sure that there is a directory to write to: the root file system is read-only. It is the agent's if that is a
// volume which the mover has too.
func (t AgentTemplate) withScratch() AgentTemplate {
	dir := ""
	for _, variable := range t.Env {
		if variable.Name == ScratchVariable {
			dir = variable.Value
		}
	}
	if !slices.ContainsFunc(t.VolumeMounts, func(m corev1.VolumeMount) bool { return !m.ReadOnly && isBelow(dir, m.MountPath) }) {
		dir = scratchDir
		t.Volumes = append(slices.Clone(t.Volumes), corev1.Volume{
			Name: scratchVolume, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}},
		})
		t.VolumeMounts = append(slices.Clone(t.VolumeMounts), corev1.VolumeMount{Name: scratchVolume, MountPath: scratchDir})
	}
	t.Env = append(
		slices.DeleteFunc(slices.Clone(t.Env), func(v corev1.EnvVar) bool { return v.Name == ScratchVariable || v.Name == tempVariable }),
		corev1.EnvVar{Name: ScratchVariable, Value: dir}, corev1.EnvVar{Name: tempVariable, Value: dir})
	return t
}

// isBelow tells whether a directory is another one, or in it.
func isBelow(dir, other string) bool {
	return dir != "" && strings.HasPrefix(path.Clean(dir)+"/", strings.TrimSuffix(path.Clean(other), "/")+"/")
}
