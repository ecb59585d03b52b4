package engine

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
)

var _ = DescribeTable("an update of a DataUpload is worth a pass", func(change func(*v2alpha1.DataUpload), want bool) {
	before := &v2alpha1.DataUpload{ObjectMeta: metav1.ObjectMeta{Name: "a", ResourceVersion: "1"}}
	after := before.DeepCopy()
	after.ResourceVersion = "2"
	change(after)
	Expect(matters(event.UpdateEvent{ObjectOld: before, ObjectNew: after})).To(Equal(want))
},
	Entry("not for progress", func(du *v2alpha1.DataUpload) { du.Status.Progress.BytesDone = 5 }, false),
	Entry("not for nothing", func(*v2alpha1.DataUpload) {}, false),
	Entry("for a phase", func(du *v2alpha1.DataUpload) { du.Status.Phase = accepted }, true),
	Entry("for cancel", func(du *v2alpha1.DataUpload) { du.Spec.Cancel = true }, true),
	Entry("for deletion", func(du *v2alpha1.DataUpload) { du.DeletionTimestamp = &metav1.Time{} }, true),
)
