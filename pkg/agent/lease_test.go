package agent

import (
	"context"
	"errors"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	clocktesting "k8s.io/utils/clock/testing"
)

var leases = schema.GroupResource{Group: "coordination.k8s.io", Resource: "leases"}

// scriptedLock answers as it is told.
type scriptedLock struct {
	resourcelock.Interface
	raw              string
	reading, writing error
}

func (s *scriptedLock) Get(context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	return &resourcelock.LeaderElectionRecord{}, []byte(s.raw), s.reading
}

func (s *scriptedLock) Create(context.Context, resourcelock.LeaderElectionRecord) error {
	return s.writing
}

func (s *scriptedLock) Update(context.Context, resourcelock.LeaderElectionRecord) error {
	return s.writing
}

var _ = Describe("a lease that is watched", func() {
	var clock *clocktesting.FakePassiveClock
	var lock *scriptedLock
	var watched *watchedLock

	BeforeEach(func() {
		clock = clocktesting.NewFakePassiveClock(time.Unix(1_800_000_000, 0))
		lock = &scriptedLock{raw: "a"}
		watched = newWatchedLock(lock, clock)
	})

	// try is what an election does each time: it reads, and writes if it may lead.
	try := func(ctx context.Context, writes bool) {
		_, _, err := watched.Get(ctx)
		if writes && (err == nil || apierrors.IsNotFound(err)) {
			_ = watched.Update(ctx, resourcelock.LeaderElectionRecord{})
		}
		clock.SetTime(clock.Now().Add(retryPeriod))
	}

	leaderless := func() bool { return watched.vacant() != nil }

	forbidden := apierrors.NewForbidden(leases, leaseName, errors.New("no rights"))

	It("is not vacant while somebody renews it, even if this agent could not", func(ctx context.Context) {
		lock.writing = forbidden
		for range 30 {
			lock.raw += "+"
			try(ctx, false)
			Expect(leaderless()).To(BeFalse())
		}
	})

	It("is not vacant while this agent renews it", func(ctx context.Context) {
		for range 30 {
			Expect(watched.Update(ctx, resourcelock.LeaderElectionRecord{})).To(Succeed())
			clock.SetTime(clock.Now().Add(retryPeriod))
			Expect(leaderless()).To(BeFalse())
		}
	})

	It("is not vacant in the gap after the leader's crash, which another one fills", func(ctx context.Context) {
		for range 7 { // the lease has to run out first
			try(ctx, false)
		}
		lock.writing = apierrors.NewConflict(leases, leaseName, errors.New("another was faster"))
		for range 5 {
			try(ctx, true)
			Expect(leaderless()).To(BeFalse())
		}
	})

	DescribeTable("is vacant when nobody could renew it for long enough", func(ctx context.Context, reading, writing error, unread bool) {
		lock.reading, lock.writing = reading, writing
		for clock.Now().Before(time.Unix(1_800_000_000, 0).Add(vacancy)) {
			Expect(leaderless()).To(BeFalse())
			try(ctx, true)
		}
		vacant := watched.vacant()
		Expect(leaderless()).To(BeTrue())
		Expect(vacant.Error()).To(Or(ContainSubstring("no rights"), ContainSubstring("webhook")))
		Expect(vacant.unread).To(Equal(unread))

		lock.reading, lock.writing = nil, nil
		try(ctx, true)
		Expect(leaderless()).To(BeFalse(), "as soon as it can be renewed again")
	},
		Entry("it cannot be read", forbidden, nil, true),
		Entry("it cannot be written", nil, forbidden, false),
		Entry("it cannot be made", apierrors.NewNotFound(leases, leaseName), forbidden, false),
		Entry("a webhook is in the way", nil, apierrors.NewInternalError(errors.New("failed calling webhook")), false),
	)

	DescribeTable("says nothing about other agents", func(ctx context.Context, err error) {
		lock.writing = err
		for range 30 {
			try(ctx, true)
			Expect(leaderless()).To(BeFalse())
		}
	},
		Entry("no connection", errors.New("dial tcp: connection refused")),
		Entry("too many requests", apierrors.NewTooManyRequests("slow down", 1)),
		Entry("API server that is not ready", apierrors.NewServiceUnavailable("starting")),
		Entry("time-out", apierrors.NewTimeoutError("etcd", 1)),
	)
})
