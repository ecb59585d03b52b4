package expose

import (
	"fmt"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
)

// MoverServiceAccount is the account of movers where it exists in Velero's namespace; config/rbac makes it, else the agent does if it
// may. Its Role and RoleBinding have the same name.
const MoverServiceAccount = "node-agent-mover"

// Label and value of the account, Role and RoleBinding that the agent has made. config/rbac has another value there, and so makes
// them its own when it is applied.
const (
	componentLabel = "component"
	madeByAgent    = "node-agent"
)

// MadeByAgent tells whether the agent has made an account, Role or RoleBinding of movers.
func MadeByAgent(obj metav1.Object) bool { return obj.GetLabels()[componentLabel] == madeByAgent }

// MoverAccount is the account of movers, as the agent makes it. A pod gets the pull secrets of its account, so it has those of the
// agent's.
func MoverAccount(namespace string, pullSecrets []corev1.LocalObjectReference) *corev1.ServiceAccount {
	return &corev1.ServiceAccount{ObjectMeta: moverMeta(namespace), ImagePullSecrets: pullSecrets}
}

// MoverRole is what movers may do, the same as in config/rbac.
func MoverRole(namespace string) *rbacv1.Role {
	return &rbacv1.Role{ObjectMeta: moverMeta(namespace), Rules: []rbacv1.PolicyRule{
		{
			APIGroups: []string{velerov1.GroupVersion.Group}, Resources: []string{"datauploads", "datadownloads"},
			Verbs: []string{"get", "watch", "patch"},
		},
		{
			APIGroups: []string{velerov1.GroupVersion.Group}, Resources: []string{"backupstoragelocations"},
			Verbs: []string{"get"},
		},
	}}
}

// MoverRoleBinding gives MoverRole to MoverAccount.
func MoverRoleBinding(namespace string) *rbacv1.RoleBinding {
	return &rbacv1.RoleBinding{
		ObjectMeta: moverMeta(namespace),
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: MoverServiceAccount},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: MoverServiceAccount}},
	}
}

func moverMeta(namespace string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: MoverServiceAccount, Labels: map[string]string{componentLabel: madeByAgent}}
}

// credentialsVariables name the file with the credentials of locations that have none of their own, by provider.
var credentialsVariables = map[string]string{
	"aws":   "AWS_SHARED_CREDENTIALS_FILE",
	"azure": "AZURE_CREDENTIALS_FILE",
	"gcp":   "GOOGLE_APPLICATION_CREDENTIALS",
}

// AccountNeeded says why movers of a location need the agent's own account, or nothing: cloud identities are given to accounts by
// name, and often where nobody in the cluster can see it. An account that the agent has made itself has none, so whatever is not
// known to come from a Secret counts as such an identity.
func (t AgentTemplate) AccountNeeded(location *velerov1.BackupStorageLocation) string {
	if t.Identity != "" {
		return t.Identity + " is set in the agent's pod"
	}
	if t.Labels[azureIdentityLabel] != "" {
		return "the agent's pod has label " + azureIdentityLabel
	}
	for _, volume := range t.Volumes {
		if volume.CSI != nil || volume.Projected != nil && slices.ContainsFunc(volume.Projected.Sources,
			func(source corev1.VolumeProjection) bool { return source.ServiceAccountToken != nil }) {
			return fmt.Sprintf("volume %s of the agent's pod depends on its account", volume.Name)
		}
	}
	if location.Spec.Credential == nil && !t.inSecret(t.credentialsFile(location)) {
		return "no Secret with credentials is known"
	}
	return ""
}

// credentialsFile is the file that has the credentials of a location, or empty.
func (t AgentTemplate) credentialsFile(location *velerov1.BackupStorageLocation) string {
	if file := location.Spec.Config["credentialsFile"]; file != "" {
		return file
	}
	variable := credentialsVariables[strings.TrimPrefix(location.Spec.Provider, "velero.io/")]
	i := slices.IndexFunc(t.Env, func(v corev1.EnvVar) bool { return v.Name == variable })
	if i < 0 {
		return ""
	}
	return t.Env[i].Value
}

// inSecret tells whether a file is in a Secret that the pod cannot start without.
func (t AgentTemplate) inSecret(file string) bool {
	return slices.ContainsFunc(t.VolumeMounts, func(mount corev1.VolumeMount) bool {
		return strings.HasPrefix(file, path.Clean(mount.MountPath)+"/") && slices.ContainsFunc(t.Volumes, func(v corev1.Volume) bool {
			return v.Name == mount.Name && v.Secret != nil && (v.Secret.Optional == nil || !*v.Secret.Optional)
		})
	})
}
