package v1_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
)

var _ = DescribeTable("cacheLimitMB of a repository", func(value string, want int64, message string) {
	limit, err := velerov1.CacheLimit(map[string]string{"cacheLimitMB": value})
	Expect(limit).To(Equal(want))
	if message == "" {
		Expect(err).NotTo(HaveOccurred())
		return
	}
	Expect(err).To(MatchError("cacheLimitMB is " + message + ", it must be a whole number from 1 to 4398046511104"))
},
	Entry("empty", "", int64(0), ""),
	Entry("set", "64", int64(64), ""),
	Entry("as much as may be", "4398046511104", int64(4398046511104), ""),
	Entry("more", "4398046511105", int64(0), `"4398046511105"`),
	Entry("nothing", "0", int64(0), `"0"`),
	Entry("negative", "-1", int64(0), `"-1"`),
	Entry("a fraction", "2048.5", int64(0), `"2048.5"`),
	Entry("with a unit", "2Gi", int64(0), `"2Gi"`),
)

var _ = DescribeTable("fullMaintenanceInterval of a repository", func(value string, want time.Duration, message string) {
	interval, err := velerov1.FullMaintenanceInterval(map[string]string{"fullMaintenanceInterval": value})
	Expect(interval).To(Equal(want))
	if message == "" {
		Expect(err).NotTo(HaveOccurred())
		return
	}
	Expect(err).To(MatchError(message))
},
	Entry("empty", "", time.Duration(0), ""),
	Entry("normal", "normalGC", 24*time.Hour, ""),
	Entry("fast", "fastGC", 12*time.Hour, ""),
	Entry("eager", "eagerGC", 6*time.Hour, ""),
	Entry("a duration", "168h", time.Duration(0), `fullMaintenanceInterval is "168h", it must be normalGC, fastGC or eagerGC`),
)

var _ = It("settings of a repository are optional", func() {
	Expect(velerov1.CacheLimit(nil)).To(BeZero())
	Expect(velerov1.FullMaintenanceInterval(nil)).To(BeZero())
})
