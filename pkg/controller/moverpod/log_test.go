package moverpod

import (
	"context"
	"errors"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/sirupsen/logrus"
	logrustest "github.com/sirupsen/logrus/hooks/test"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

var _ = Describe("the log of a pod that has failed", func() {
	failedPod := func(uid string) *corev1.Pod {
		pod := podOf(corev1.ContainerStateTerminated{ExitCode: 1}, nil)
		pod.Namespace, pod.Name, pod.UID = "velero", "backup-1", types.UID(uid)
		return pod
	}
	// keep keeps the log of a pod to the end, and returns what was logged.
	keep := func(logs *Logs, pod *corev1.Pod) []*logrus.Entry {
		GinkgoHelper()
		log, hook := logrustest.NewNullLogger()
		Expect(logs.Keep(pod, log)).To(BeFalse(), "it is being read")
		Eventually(func() bool { return logs.Keep(pod, log) }).Should(BeTrue())
		return hook.AllEntries()
	}

	It("is copied, line by line, no more of it than allowed, by somebody who does not wait for ever", func() {
		logs := &Logs{Read: func(ctx context.Context, namespace, pod string, options *corev1.PodLogOptions) ([]byte, error) {
			deadline, limited := ctx.Deadline()
			Expect(limited && time.Until(deadline) <= 5*time.Second).To(BeTrue())
			Expect(namespace + "/" + pod).To(Equal("velero/backup-1"))
			Expect(options.Container).To(Equal("uid"))
			Expect(*options.TailLines).To(BeEquivalentTo(100))
			Expect(*options.LimitBytes).To(BeEquivalentTo(64 << 10))
			return []byte("one\ntwo\n"), nil
		}}
		Expect(keep(logs, failedPod("1"))).To(HaveExactElements(
			And(HaveField("Message", "log of the pod: one"), HaveField("Data", HaveKeyWithValue("pod", "backup-1"))),
			HaveField("Message", "log of the pod: two")))
		Expect(logs.read).To(BeEmpty(), "nothing is remembered")
	})

	It("is done without where the right is missing, which is said once", func() {
		logs := &Logs{Read: func(context.Context, string, string, *corev1.PodLogOptions) ([]byte, error) {
			return nil, apierrors.NewForbidden(schema.GroupResource{Resource: "pods/log"}, "backup-1", errors.New("no rule"))
		}}
		Expect(keep(logs, failedPod("1"))).To(HaveExactElements(HaveField("Message", ContainSubstring("needs get on pods/log"))))
		Expect(keep(logs, failedPod("2"))).To(BeEmpty())
	})

	It("is done without where the node does not answer", func() {
		logs := &Logs{Read: func(context.Context, string, string, *corev1.PodLogOptions) ([]byte, error) {
			return nil, context.DeadlineExceeded
		}}
		Expect(keep(logs, failedPod("1"))).To(HaveExactElements(HaveField("Message", "the log of the pod cannot be read")))
	})

	DescribeTable("is not asked for", func(logs *Logs, pod *corev1.Pod) {
		Expect(logs.Keep(pod, logrus.New())).To(BeTrue())
	},
		Entry("if nobody keeps logs", nil, failedPod("1")),
		Entry("if it was successful", &Logs{}, podOf(corev1.ContainerStateTerminated{}, nil)),
		Entry("if it never started", &Logs{}, &corev1.Pod{}),
	)
})
