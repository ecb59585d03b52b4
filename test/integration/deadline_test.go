package integration

import (
	"context"
	"errors"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/clustertime"
)

// outdated is a client to which the API server says of repositories what it says to who has seen an old version.
type outdated struct {
	client.Client
	answer error
}

func (o outdated) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	if _, is := list.(*velerov1.BackupRepositoryList); is {
		return o.answer
	}
	return o.Client.List(ctx, list, opts...)
}

var repositories = schema.GroupResource{Group: "velero.io", Resource: "backuprepositories"}

var _ = DescribeTable("the prepare timeout counts while the API server says again and again that something has changed",
	func(ctx context.Context, answer error) {
		t := newTrial()
		t.r.Client = outdated{Client: cached, answer: answer}
		readyRepository(ctx)
		t.makeSource(ctx)
		t.create(ctx)
		t.settle(ctx)
		Expect(t.status(ctx).Phase).To(Equal(v2alpha1.PhaseAccepted))
		t.clock.SetTime(t.clock.Now().Add(prepareTimeout - 1))
		t.settle(ctx)
		Expect(t.status(ctx).Phase).To(Equal(v2alpha1.PhaseAccepted))

		t.clock.SetTime(t.clock.Now().Add(1))
		t.settleAll(ctx)
		Expect(t.status(ctx).Phase).To(Equal(v2alpha1.PhaseCanceled))
		Expect(t.status(ctx).Message).To(And(ContainSubstring("prepare timeout"), ContainSubstring(answer.Error())))
	},
	Entry("as a conflict", apierrors.NewConflict(repositories, "shop", errors.New("the object has been modified"))),
	Entry("as not found", apierrors.NewNotFound(repositories, "shop")),
)

var _ = It("the prepare timeout tells why nothing was prepared, and not that somebody else has just written", func(ctx context.Context) {
	t := newTrial(missingClass)
	t.advance(ctx, v2alpha1.PhaseAccepted)
	t.r.Client = outdated{Client: cached, answer: apierrors.NewConflict(repositories, "shop", errors.New("the object has been modified"))}
	t.clock.SetTime(t.clock.Now().Add(prepareTimeout))
	t.settleAll(ctx)
	Expect(t.status(ctx).Phase).To(Equal(v2alpha1.PhaseCanceled))
	Expect(t.status(ctx).Message).To(And(ContainSubstring("prepare timeout"), HaveSuffix(`storage class "missing" not found`)))
})

var _ = DescribeTable("deadlines are those of the API server's clock, though that of the leader's node is wrong",
	func(ctx context.Context, skew time.Duration) {
		local := clocktesting.NewFakeClock(time.Now().Add(skew))
		now := clustertime.New(local)
		config := rest.CopyConfig(plane.Config)
		config.Wrap(now.Wrap)
		asking, err := client.New(config, client.Options{Scheme: live.Scheme(), Mapper: live.RESTMapper()})
		Expect(err).NotTo(HaveOccurred())
		t := newTrial()
		t.r.Clock, t.r.Live = now, asking
		Expect(asking.List(ctx, &velerov1.BackupRepositoryList{})).To(Succeed())

		t.advance(ctx, v2alpha1.PhaseCanceling)
		Expect(t.status(ctx).AcceptedTimestamp.Time).To(BeTemporally("~", time.Now(), 10*time.Second), "another leader reads it")
		pod := t.pod(ctx)
		t.settle(ctx)
		Expect(t.pod(ctx)).NotTo(BeNil(), "it has time to stop")
		local.SetTime(pod.DeletionTimestamp.Add(skew + 12*time.Second))
		t.settle(ctx)
		err = live.Get(ctx, t.key(), pod)
		Expect(apierrors.IsNotFound(err)).To(BeTrue(), "and no more")
		t.settleAll(ctx)
		t.expectNothingLeft(ctx)
	},
	Entry("right", time.Duration(0)),
	Entry("ahead", time.Minute),
	Entry("behind", -time.Minute),
)
