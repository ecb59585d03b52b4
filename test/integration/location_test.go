package integration

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
)

var _ = DescribeTable("settings of a storage location that have no effect on data are named once",
	func(ctx context.Context, config map[string]string, expected string) {
		location := &velerov1.BackupStorageLocation{
			ObjectMeta: metav1.ObjectMeta{Namespace: velero, GenerateName: "special-"},
			Spec:       velerov1.BackupStorageLocationSpec{Provider: "aws", Config: config},
		}
		Expect(live.Create(ctx, location)).To(Succeed())
		DeferCleanup(func(ctx context.Context) { Expect(live.Delete(ctx, location)).To(Succeed()) })
		Eventually(func() error {
			return cached.Get(ctx, client.ObjectKeyFromObject(location), &velerov1.BackupStorageLocation{})
		}).Should(Succeed())
		t := newTrial(func(t *trial) {
			t.spec = func(s *v2alpha1.DataUploadSpec) { s.BackupStorageLocation = location.Name }
		})
		t.makeSource(ctx)
		t.create(ctx)
		t.settle(ctx)
		t.cancel(ctx)
		t.settleAll(ctx)
		var named []string
		for _, event := range t.events() {
			if matched, _ := ContainSubstring("StorageLocationSettings").Match(event); matched {
				named = append(named, event)
			}
		}
		if expected == "" {
			Expect(named).To(BeEmpty())
			return
		}
		Expect(named).To(ConsistOf(And(HavePrefix(expected), ContainSubstring("backup storage location "+location.Name))))
	},
	Entry("none", map[string]string{"region": "eu-west-1", "serverSideEncryption": "AES256"}, ""),
	Entry("those that are not for data", map[string]string{"publicUrl": "https://x"}, "Normal StorageLocationSettings "),
	Entry("those that nobody knows", map[string]string{"publicUrl": "https://x", "s3URL": "https://x"}, "Warning StorageLocationSettings "),
)
