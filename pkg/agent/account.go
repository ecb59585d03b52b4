package agent

import (
	"context"

	"github.com/sirupsen/logrus"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/expose"
)

// tellAccount says once, while there is no account for backup pods, how they could do with fewer rights. A failure is not worth a
// word: whoever makes a backup pod meets it again.
func tellAccount(ctx context.Context, reader client.Reader, namespace string, log logrus.FieldLogger) {
	account := &corev1.ServiceAccount{}
	err := reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: expose.MoverServiceAccount}, account)
	if err == nil || client.IgnoreNotFound(err) != nil {
		return
	}
	log.Infof("Backup pods run with the service account of the agent. They need much less: kubectl apply -k config/rbac makes an account "+
		"%s in namespace %s, which is used from then on", expose.MoverServiceAccount, namespace)
}
