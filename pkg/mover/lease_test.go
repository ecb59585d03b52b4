package mover_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/attempts"
	"github.com/node-agent/node-agent/pkg/location"
	"github.com/node-agent/node-agent/pkg/mover"
	"github.com/node-agent/node-agent/pkg/mover/result"
	"github.com/node-agent/node-agent/pkg/repository"
	"github.com/node-agent/node-agent/pkg/repository/restore"
	"github.com/node-agent/node-agent/test/faultproxy" //nolint:depguard // a spec cuts the mover off from a real API server
)

const unheard = "was interrupted: the API server has not answered for 1m30s, and another attempt may begin"

// behindProxy lets the mover reach the API server through a proxy, as its only way, with a token as pods have it.
func (b *restoreBench) behindProxy(ctx context.Context) *faultproxy.Proxy {
	GinkgoHelper()
	proxy, err := faultproxy.Start(restConfig, rand.New(rand.NewPCG(1, 1)))
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(proxy.Close)
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: b.namespace, Name: "mover"}}
	Expect(admin.Create(ctx, account)).To(Succeed())
	grantRole(ctx, b.namespace, "system:serviceaccount:"+b.namespace+":"+account.Name)
	token := &authenticationv1.TokenRequest{}
	Expect(admin.SubResource("token").Create(ctx, account, token)).To(Succeed())
	config := proxy.Config()
	config.BearerToken = token.Status.Token
	b.restore.Client = location.WithMountedSecrets(b.newClient(config), secretsDir())
	Eventually(func() error {
		return b.restore.Client.Get(ctx, client.ObjectKeyFromObject(b.dd), &v2alpha1.DataDownload{})
	}).WithTimeout(patience).Should(Succeed(), "the API server must have seen the Role")
	return proxy
}

// questions is how often the mover has read its object.
func (b *restoreBench) questions() int {
	calls, _ := b.transport.counted()
	count := 0
	for _, call := range calls {
		if strings.HasPrefix(call, http.MethodGet) && strings.HasSuffix(call, "/datadownloads/"+ddName) {
			count++
		}
	}
	return count
}

// pass lets time pass while the mover moves data, a second at a time, so that it has the answers to what it asks.
func (b *restoreBench) pass(d time.Duration) {
	GinkgoHelper()
	for range d / time.Second {
		b.pausing(0)
		b.clock.Step(time.Second)
	}
	b.pausing(0)
}

var _ = Describe("The lease of a mover", func() {
	It("ends when the API server cannot be reached, and the mover with it", func(ctx context.Context) {
		b := newRestoreBench(ctx, v2alpha1.PhaseInProgress)
		proxy := b.behindProxy(ctx)
		b.start()
		request := b.restoring()
		proxy.SetRates(faultproxy.Rates{faultproxy.CutBefore: 1})
		b.pass(89 * time.Second)
		Expect(request.MayWrite()).To(Succeed())
		Expect(b.done).NotTo(Receive())
		Expect(b.questions()).To(BeNumerically(">", 5), "asks again and again")
		Expect(b.warnings()).To(ContainElement("The API server does not tell whether to go on, asking again"))

		b.clock.Step(time.Second)
		Expect(request.MayWrite()).To(MatchError(HaveSuffix(unheard)))
		message, err := b.ended()
		Expect(message).To(Equal("restore of DataDownload " + b.namespace + "/" + ddName + " " + unheard))
		Expect(exitCode(err)).To(Equal(result.ExitRetryable))
	})

	It("is not that of a watch, whose news may have been under way for long", func(ctx context.Context) {
		b := newRestoreBench(ctx, v2alpha1.PhaseInProgress)
		failing := false
		b.restore.Client = interceptor.NewClient(b.restore.Client, interceptor.Funcs{Get: func(
			ctx context.Context, c client.WithWatch, key client.ObjectKey, obj client.Object, opts ...client.GetOption,
		) error {
			if failing {
				return errors.New("no answer")
			}
			return c.Get(ctx, key, obj, opts...)
		}})
		b.start()
		request := b.restoring()
		failing = true
		for range 89 {
			b.patchDD(ctx, `{"status":{"message":"`+b.clock.Now().String()+`"}}`)
			b.pass(time.Second)
		}
		Expect(request.MayWrite()).To(Succeed())
		b.clock.Step(time.Second)
		Expect(request.MayWrite()).NotTo(Succeed())
		_, err := b.ended()
		Expect(err).To(MatchError(HaveSuffix(unheard)))
	})

	It("lasts while the API server answers, for a question every half a minute", func(ctx context.Context) {
		b := newRestoreBench(ctx, v2alpha1.PhaseInProgress)
		b.start()
		request := b.restoring()
		before := b.questions()
		b.pass(10 * time.Minute)
		Expect(request.MayWrite()).To(Succeed())
		Expect(b.questions() - before).To(Equal(20))
		b.restorer.finish <- nil
		_, err := b.ended()
		Expect(err).NotTo(HaveOccurred())
	})

	It("costs nothing while progress is reported", func(ctx context.Context) {
		b := newRestoreBench(ctx, v2alpha1.PhaseInProgress)
		b.start()
		request := b.restoring()
		before := b.questions()
		for i := range int64(30) {
			reports := b.patches()
			request.Progress(progressOf(1000, i+1))
			Eventually(b.patches).WithTimeout(patience).Should(Equal(reports + 1))
			b.pausing(1)
			b.clock.Step(10 * time.Second)
			b.pausing(0)
		}
		Expect(request.MayWrite()).To(Succeed())
		Expect(b.questions()).To(Equal(before))
	})

	It("is seen to have ended by a process that was stopped, before it writes", func(ctx context.Context) {
		b := newRestoreBench(ctx, v2alpha1.PhaseInProgress)
		proxy := b.behindProxy(ctx)
		b.start()
		request := b.restoring()
		proxy.SetRates(faultproxy.Rates{faultproxy.CutBefore: 1})
		b.pausing(0)
		b.clock.Step(24 * time.Hour)
		Expect(request.MayWrite()).NotTo(Succeed())
	})

	It("must hold before a restore begins", func(ctx context.Context) {
		b := newRestoreBench(ctx, v2alpha1.PhasePrepared)
		answers := true
		b.restore.Client = interceptor.NewClient(b.restore.Client, interceptor.Funcs{Get: func(
			ctx context.Context, c client.WithWatch, key client.ObjectKey, obj client.Object, opts ...client.GetOption,
		) error {
			if !answers {
				return errors.New("no answer")
			}
			return c.Get(ctx, key, obj, opts...)
		}})
		b.start()
		Eventually(func() int { _, watches := b.transport.counted(); return watches }).WithTimeout(patience).Should(Equal(1))
		b.clock.Step(time.Hour)
		answers = false
		b.patchDD(ctx, `{"status":{"phase":"InProgress"}}`)
		b.pausing(0)
		Expect(b.restorer.begun).NotTo(Receive())
		b.clock.Step(90 * time.Second)
		_, err := b.ended()
		Expect(err).To(MatchError(HaveSuffix(unheard)))
		Expect(b.opened).To(BeEmpty())
	})

	DescribeTable("ends at once", func(ctx context.Context, answer error, tell func(context.Context, *restoreBench), want string) {
		b := newRestoreBench(ctx, v2alpha1.PhaseInProgress)
		asked := make(chan struct{}, 1)
		b.restore.Client = interceptor.NewClient(b.restore.Client, interceptor.Funcs{Get: func(
			ctx context.Context, c client.WithWatch, key client.ObjectKey, obj client.Object, opts ...client.GetOption,
		) error {
			if len(asked) > 0 && answer != nil {
				return answer
			}
			return c.Get(ctx, key, obj, opts...)
		}, Watch: deafWatch().Watch})
		b.start()
		request := b.restoring()
		asked <- struct{}{}
		tell(ctx, b)
		b.pausing(0)
		b.clock.Step(30 * time.Second)
		message, err := b.ended()
		Expect(message).To(ContainSubstring(want))
		Expect(exitCode(err)).To(Equal(result.ExitRetryable))
		Expect(request.MayWrite()).To(Succeed(), "it is not for want of an answer")
	},
		Entry("when the API server no longer knows the pod", apierrors.NewUnauthorized("the token has been invalidated"),
			func(context.Context, *restoreBench) {}, "was interrupted, because the API server no longer knows its pod"),
		Entry("when another attempt has begun, which no watch shows", nil, func(ctx context.Context, b *restoreBench) {
			lost := &v2alpha1.DataDownload{}
			attempts.Record(lost, attempts.Lost{Reason: "the node is gone"})
			b.patchDD(ctx, `{"metadata":{"annotations":{"`+attempts.Annotation+`":`+strconv.Quote(lost.Annotations[attempts.Annotation])+`}}}`)
		}, "was given up, it is at attempt 2"),
	)

	It("is not outlived by a restore that does not come back", func(ctx context.Context) {
		b := newRestoreBench(ctx, v2alpha1.PhaseInProgress)
		stuck := &stuckRestorer{fakeRestorer: b.restorer, freed: make(chan struct{})}
		DeferCleanup(func() { close(stuck.freed) })
		b.restore.Open = func(context.Context, repository.Access) (mover.Restorer, error) { return stuck, nil }
		proxy := b.behindProxy(ctx)
		b.start()
		b.restoring()
		proxy.SetRates(faultproxy.Rates{faultproxy.CutBefore: 1})
		begin := b.clock.Now()
		Eventually(func() int {
			b.clock.Step(time.Second)
			return len(b.done)
		}).WithTimeout(patience).Should(Equal(1))
		Expect(b.clock.Since(begin)).To(BeNumerically(">=", attempts.Lease))
		_, err := b.ended()
		Expect(err).To(MatchError(HaveSuffix(unheard)))
	})
})

// stuckRestorer hears of no end.
type stuckRestorer struct {
	*fakeRestorer

	freed chan struct{}
}

func (r *stuckRestorer) Restore(_ context.Context, request restore.Request) (restore.Result, error) {
	r.begun <- request
	<-r.freed
	return restore.Result{}, nil
}
