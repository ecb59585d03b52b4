package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/sirupsen/logrus"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
	"github.com/node-agent/node-agent/pkg/expose"
	"github.com/node-agent/node-agent/pkg/text"
)

// moverRights is the reason of Events that tell with which rights movers run.
const (
	moverRights = "MoverRights"
	actionStart = "Start"
	// maxAccountNote keeps a note within what the API server takes, which is 1024.
	maxAccountNote = 1000
)

// identityVariables are what webhooks set in pods whose account has an identity with AWS or Azure.
var identityVariables = []string{"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AZURE_FEDERATED_TOKEN_FILE"}

// cloudIdentity is the variable by which this pod was given a cloud identity, or empty. A mover with the same account is given it, too.
func cloudIdentity() string {
	i := slices.IndexFunc(identityVariables, func(name string) bool { return os.Getenv(name) != "" })
	if i < 0 {
		return ""
	}
	return identityVariables[i]
}

// accounts sees to it that movers have an account of their own.
type accounts struct {
	client    client.Client // reads the API server
	events    events.EventRecorder
	namespace string
	log       logrus.FieldLogger
}

// prepareAccount makes the account of movers if nobody has, and says with which rights they run. That it may not is no reason to back
// nothing up.
func prepareAccount(ctx context.Context, options Options, scheme *runtime.Scheme, recorder events.EventRecorder) error {
	c, err := client.New(options.RESTConfig, client.Options{Scheme: scheme})
	if err != nil {
		return fmt.Errorf("connecting to the API server: %w", err)
	}
	a := accounts{client: c, events: recorder, namespace: options.Namespace, log: options.Log}
	found := &corev1.ServiceAccount{}
	err = c.Get(ctx, client.ObjectKey{Namespace: options.Namespace, Name: expose.MoverServiceAccount}, found)
	if err == nil && !expose.MadeByAgent(found) {
		return nil
	}
	daemonSet := &appsv1.DaemonSet{}
	if err := c.Get(ctx, client.ObjectKey{Namespace: options.Namespace, Name: expose.AgentDaemonSet}, daemonSet); err != nil {
		// No pod is made without it.
		a.log.Infof("Nothing is done about service account %s: reading the DaemonSet: %v", expose.MoverServiceAccount, err)
		return nil
	}
	kept, err := a.prepare(ctx, daemonSet)
	switch own := daemonSet.Spec.Template.Spec.ServiceAccountName; {
	case err != nil:
		a.tell(daemonSet, corev1.EventTypeWarning, fmt.Sprintf("service account %s of backup and restore pods could not be made or "+
			"brought up to date; while there is none, they have all rights of account %s. kubectl apply -k config/rbac makes it. "+
			"The cause: %v",
			expose.MoverServiceAccount, own, err))
	case len(kept) > 0:
		a.tell(daemonSet, corev1.EventTypeWarning, fmt.Sprintf("backup and restore pods have service account %s, but all rights of "+
			"account %s for storage locations that may need its cloud identity: %s. docs/install.md says how to change that",
			expose.MoverServiceAccount, own, strings.Join(kept, "; ")))
	default:
		a.tell(daemonSet, corev1.EventTypeNormal, fmt.Sprintf("backup and restore pods have service account %s, which may only do what "+
			"they need", expose.MoverServiceAccount))
	}
	return nil
}

// prepare makes the account and its rights, or brings them up to date. It returns the locations whose movers do without, and why.
func (a accounts) prepare(ctx context.Context, daemonSet *appsv1.DaemonSet) (kept []string, err error) {
	template, err := expose.TemplateOf(daemonSet, nil)
	if err != nil {
		return nil, err
	}
	template.Identity = cloudIdentity()
	if err := a.make(ctx, template.ServiceAccountName); err != nil {
		return nil, err
	}
	locations := &velerov1.BackupStorageLocationList{}
	if err := a.client.List(ctx, locations, client.InNamespace(a.namespace)); err != nil {
		return nil, fmt.Errorf("listing backup storage locations: %w", err)
	}
	for i := range locations.Items {
		if why := template.AccountNeeded(&locations.Items[i]); why != "" {
			kept = append(kept, locations.Items[i].Name+" ("+why+")")
		}
	}
	return kept, nil
}

// make makes the account last: pods have it as soon as it exists, and must find its rights.
func (a accounts) make(ctx context.Context, agentAccount string) error {
	own := &corev1.ServiceAccount{}
	if err := a.client.Get(ctx, client.ObjectKey{Namespace: a.namespace, Name: agentAccount}, own); err != nil {
		return fmt.Errorf("reading service account %s: %w", agentAccount, err)
	}
	role, binding, account := &rbacv1.Role{}, &rbacv1.RoleBinding{}, &corev1.ServiceAccount{}
	wantedRole, wantedBinding := expose.MoverRole(a.namespace), expose.MoverRoleBinding(a.namespace)
	if err := a.ensure(ctx, wantedRole, role, func() { role.Rules = wantedRole.Rules }); err != nil {
		return err
	}
	if err := a.ensure(ctx, wantedBinding, binding, func() { binding.Subjects = wantedBinding.Subjects }); err != nil {
		return err
	}
	return a.ensure(ctx, expose.MoverAccount(a.namespace, own.ImagePullSecrets), account, func() {
		for _, secret := range own.ImagePullSecrets {
			if !slices.Contains(account.ImagePullSecrets, secret) {
				account.ImagePullSecrets = append(account.ImagePullSecrets, secret)
			}
		}
	})
}

// ensure makes an object, or reads into found what the agent has made before and changes that. What others have made it leaves alone,
// and fails.
func (a accounts) ensure(ctx context.Context, wanted, found client.Object, change func()) error {
	err := a.client.Get(ctx, client.ObjectKeyFromObject(wanted), found)
	switch {
	case apierrors.IsNotFound(err):
		err = a.client.Create(ctx, wanted)
	case err == nil && !expose.MadeByAgent(found):
		err = errors.New("it is there already, made by somebody else")
	case err == nil:
		before := found.DeepCopyObject().(client.Object)
		if change(); !equality.Semantic.DeepEqual(before, found) {
			err = a.client.Patch(ctx, found, client.MergeFrom(before))
		}
	}
	if err != nil {
		return fmt.Errorf("making %T %s: %w", wanted, wanted.GetName(), err)
	}
	return nil
}

// tell says it in the log and in an Event of the DaemonSet.
func (a accounts) tell(daemonSet *appsv1.DaemonSet, kind, message string) {
	level := logrus.InfoLevel
	if kind == corev1.EventTypeWarning {
		level = logrus.WarnLevel
	}
	a.log.WithField("reason", moverRights).Log(level, strings.ToUpper(message[:1])+message[1:])
	a.events.Eventf(daemonSet, nil, kind, moverRights, actionStart, "%s", text.Shorten(message, maxAccountNote))
}
