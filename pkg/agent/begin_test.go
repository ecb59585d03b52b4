package agent

import (
	"context"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
)

var _ = Describe("an agent that leads", func() {
	It("waits for kinds that the cluster does not serve yet, and says for which", func(ctx context.Context) {
		mapper := meta.NewDefaultRESTMapper(nil)
		mapper.Add(v2alpha1.GroupVersion.WithKind("DataUpload"), meta.RESTScopeNamespace)
		mapper.Add(v2alpha1.GroupVersion.WithKind("DataDownload"), meta.RESTScopeNamespace)
		mapper.Add(snapshotv1.SchemeGroupVersion.WithKind("VolumeSnapshot"), meta.RESTScopeNamespace)
		s := &standstill{}
		stopped, stop := context.WithCancel(ctx)
		stop()
		Expect(s.awaitServed(stopped, mapper)).To(BeFalse())
		why, tell := s.find(ctx)
		Expect(why).To(And(
			HavePrefix("the agent that leads cannot begin: the cluster does not serve VolumeSnapshotContent"), HaveSuffix(installSnapshotter)))
		Expect(tell).To(BeTrue())

		mapper.Add(snapshotv1.SchemeGroupVersion.WithKind("VolumeSnapshotContent"), meta.RESTScopeRoot)
		Expect(s.awaitServed(ctx, mapper)).To(BeTrue())
		Expect(s.hindrance).NotTo(HaveOccurred())
	})
})
