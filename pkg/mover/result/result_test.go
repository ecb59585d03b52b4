package result_test

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/node-agent/node-agent/pkg/mover/result"
	"github.com/node-agent/node-agent/pkg/notice"
)

var _ = Describe("The result of a data mover", func() {
	full := result.Result{
		SnapshotID:       "0123456789abcdef0123456789abcdef",
		EmptySnapshot:    false,
		Source:           result.Volume{ByPath: "/uid", VolumeMode: "Filesystem"},
		TotalBytes:       12,
		IncrementalBytes: 3,
	}
	notices := []notice.Notice{{Code: notice.TimesNotKept, Count: 2, Example: "a"}}

	It("is written as stock Velero writes it", func() {
		Expect(full.String()).To(Equal(`{"snapshotID":"0123456789abcdef0123456789abcdef","emptySnapshot":false,` +
			`"source":{"byPath":"/uid","volumeMode":"Filesystem"},"totalBytes":12,"incrementalBytes":3}`))
	})

	DescribeTable("is read back",
		func(message string, want result.Result) {
			Expect(result.Parse(message)).To(Equal(want))
		},
		Entry("as written", full.String(), full),
		Entry("with white space around it", "\n "+full.String()+"\n", full),
		Entry("of an empty volume", `{"snapshotID":"a","emptySnapshot":true,"source":{"byPath":"/u","volumeMode":"Block"}}`,
			result.Result{SnapshotID: "a", EmptySnapshot: true, Source: result.Volume{ByPath: "/u", VolumeMode: "Block"}}),
		Entry("with notices", result.Result{SnapshotID: "a", Notices: notices}.String(), result.Result{SnapshotID: "a", Notices: notices}),
		Entry("with a field of a newer mover", `{"snapshotID":"a","other":1}`, result.Result{SnapshotID: "a"}),
	)

	DescribeTable("is refused",
		func(message, want string) {
			_, err := result.Parse(message)
			Expect(err).To(MatchError(ContainSubstring(want)))
			Expect(len(err.Error())).To(BeNumerically("<", 600))
		},
		Entry("when empty", "", "is empty"),
		Entry("when blank", " \n", "is empty"),
		Entry("when it is a text", "killed", `parse termination message "killed"`),
		Entry("when cut off", full.String()[:40], "parse termination message"),
		Entry("without a snapshot ID", `{"emptySnapshot":true}`, "has no snapshotID"),
		Entry("with an empty snapshot ID", `{"snapshotID":""}`, "has no snapshotID"),
		Entry("when it is long", strings.Repeat("\u00e9", 2000), "parse termination message"),
	)

	It("of a restore is written as stock Velero writes it, and read back", func() {
		restored := result.Restored{Target: result.Volume{ByPath: "/uid", VolumeMode: "Filesystem"}, TotalBytes: 12}
		Expect(restored.String()).To(Equal(`{"target":{"byPath":"/uid","volumeMode":"Filesystem"},"totalBytes":12}`))
		Expect(result.ParseRestored(restored.String() + "\n")).To(Equal(restored))
	})

	DescribeTable("of a restore is refused",
		func(message, want string) {
			_, err := result.ParseRestored(message)
			Expect(err).To(MatchError(ContainSubstring(want)))
		},
		Entry("when empty", "", "is empty"),
		Entry("when it is a text", "killed", `parse termination message "killed"`),
		Entry("when it is that of an upload", full.String(), "has no target"),
	)

	DescribeTable("tells how a mover ended",
		func(message string, canceled bool) {
			Expect(result.IsCanceled(message)).To(Equal(canceled))
		},
		Entry("canceled, as stock Velero says it",
			"Failed to run data path service for DataUpload x: data path is canceled", true),
		Entry("canceled, with a line end", "x: "+result.CanceledSuffix+"\n", true),
		Entry("failed", "data path is canceled or not", false),
		Entry("empty", "", false),
	)
})
