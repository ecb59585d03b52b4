package agent

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/controller/engine"
	"github.com/node-agent/node-agent/pkg/expose"
	"github.com/node-agent/node-agent/pkg/metrics"
)

const (
	// lookPeriod is how often an agent looks whether work is at a standstill; a third more at most, so that agents do not
	// all look at once.
	lookPeriod = 3 * time.Second
	lookJitter = 1.0 / 3
	// speakers is how many of all agents on average tell the DataUploads each time. With one, chance would too often have
	// it that nobody does.
	speakers = 3
)

// standstill is that no agent works on DataUploads: nobody can lead, or the one that leads cannot begin. Every agent
// that is alive sees it, and some tell the DataUploads.
type standstill struct {
	options Options
	lock    *watchedLock
	client  client.Client
	events  events.EventRecorder

	mutex sync.Mutex
	// hindrance is why this agent, which leads, cannot begin.
	hindrance error
	// known is what was found last.
	known string
}

func newStandstill(ctx context.Context, options Options, lock *watchedLock, scheme *runtime.Scheme) (*standstill, error) {
	config := rest.CopyConfig(options.RESTConfig)
	config.QPS, config.Burst = leaderQPS, leaderBurst
	direct, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("connecting to the API server: %w", err)
	}
	clientset, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("connecting to the API server: %w", err)
	}
	broadcaster := events.NewBroadcaster(&events.EventSinkImpl{Interface: clientset.EventsV1()})
	if err := broadcaster.StartRecordingToSinkWithContext(ctx); err != nil {
		return nil, fmt.Errorf("starting to record events: %w", err)
	}
	context.AfterFunc(ctx, broadcaster.Shutdown)
	return &standstill{options: options, lock: lock, client: direct, events: broadcaster.NewRecorder(scheme, component)}, nil
}

// run looks until ctx ends.
func (s *standstill) run(ctx context.Context) {
	wait.JitterUntilWithContext(ctx, s.look, lookPeriod, lookJitter, false)
}

// hinder records why this agent, which leads, cannot begin; nothing once it can.
func (s *standstill) hinder(why error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.hindrance = why
}

// Check fails while no agent works on DataUploads.
func (s *standstill) Check(*http.Request) error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.known == "" {
		return nil
	}
	return errors.New(s.known)
}

func (s *standstill) look(ctx context.Context) {
	why, told := s.find(ctx)
	s.publish(why)
	if why == "" || !told {
		return
	}
	unattended := engine.Unattended{Namespace: s.options.Namespace, Client: s.client, Events: s.events}
	if err := unattended.Tell(ctx, why); err != nil {
		s.options.Log.WithError(err).Debug("cannot tell the dataUploads that no agent works on them")
	}
}

// find says why no agent works on DataUploads, if so, and whether it is on this one to tell them.
func (s *standstill) find(ctx context.Context) (why string, tell bool) {
	s.mutex.Lock()
	hindrance := s.hindrance
	s.mutex.Unlock()
	if hindrance != nil {
		return "the agent that leads cannot begin: " + hindrance.Error(), true
	}
	vacant := s.lock.vacant()
	if vacant == nil {
		return "", false
	}
	why = fmt.Sprintf("no agent can lead: lease %s: %v", s.lock.Describe(), vacant)
	if vacant.unread && s.mayRenew(ctx) {
		// An agent that leads need not read the lease to renew it, so one may well be at work.
		return why, false
	}
	return why, rand.IntN(s.agents(ctx)) < speakers
}

// mayRenew tells whether agents have the right to renew the lease.
func (s *standstill) mayRenew(ctx context.Context) bool {
	review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: s.options.Namespace, Verb: "update", Group: coordinationv1.GroupName, Resource: "leases", Name: leaseName,
		},
	}}
	err := s.client.Create(ctx, review)
	return err != nil || review.Status.Allowed
}

// agents is how many agents there are, at least one.
func (s *standstill) agents(ctx context.Context) int {
	daemonSet := &appsv1.DaemonSet{}
	key := client.ObjectKey{Namespace: s.options.Namespace, Name: expose.AgentDaemonSet}
	if err := s.client.Get(ctx, key, daemonSet); err != nil {
		return 1 // better too many that tell than none
	}
	return max(1, int(daemonSet.Status.DesiredNumberScheduled))
}

// publish logs what changes, and sets the metric.
func (s *standstill) publish(why string) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if why == s.known {
		return
	}
	metrics.SetStandstill(why != "")
	log := s.options.Log.WithFields(logrus.Fields{"namespace": s.options.Namespace})
	if why == "" {
		log.Info("dataUploads are worked on again")
	} else {
		log.WithField("reason", why).Error("no agent works on dataUploads")
	}
	s.known = why
}
