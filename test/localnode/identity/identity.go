// Package identity gives processes the identity of a service account.
package identity

import (
	"context"
	"fmt"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// tokenSeconds is how long a token lasts. Nothing here runs longer.
const tokenSeconds = 3600

// Write writes a kubeconfig with a token of a service account to path. A process has no way to get at the place where
// containers find theirs. config says where the API server is; what the process may do is decided by RBAC.
func Write(ctx context.Context, c client.Client, config *rest.Config, account types.NamespacedName, path string) error {
	return write(ctx, c, config, account, nil, path)
}

// WriteForPod does that for a pod: the token says whose it is, as a kubelet's do.
func WriteForPod(ctx context.Context, c client.Client, config *rest.Config, pod *corev1.Pod, path string) error {
	account := types.NamespacedName{Namespace: pod.Namespace, Name: pod.Spec.ServiceAccountName}
	bound := &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID}
	return write(ctx, c, config, account, bound, path)
}

func write(
	ctx context.Context, c client.Client, config *rest.Config, account types.NamespacedName,
	bound *authenticationv1.BoundObjectReference, path string,
) error {
	object := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: account.Namespace, Name: account.Name}}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		ExpirationSeconds: new(int64(tokenSeconds)), BoundObjectRef: bound,
	}}
	if err := c.SubResource("token").Create(ctx, object, request); err != nil {
		return fmt.Errorf("failed to fetch token: %w", err)
	}
	const name = "localnode"
	kubeconfig := clientcmdapi.NewConfig()
	kubeconfig.Clusters[name] = &clientcmdapi.Cluster{Server: config.Host, CertificateAuthorityData: config.CAData}
	kubeconfig.AuthInfos[name] = &clientcmdapi.AuthInfo{Token: request.Status.Token}
	kubeconfig.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name, Namespace: account.Namespace}
	kubeconfig.CurrentContext = name
	if err := clientcmd.WriteToFile(*kubeconfig, path); err != nil {
		return fmt.Errorf("write kubeconfig of service account %s: %w", account, err)
	}
	return nil
}
