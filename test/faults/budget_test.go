package faults

import (
	"context"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// What a healthy DataUpload may cost the API server, watches apart, the Events about it included. Stock Velero 1.18 makes
// 59 and 27 calls.
const (
	controllerBudget = 30
	moverBudget      = 15
)

// What a healthy DataDownload costs. It is what was measured: more is a step backwards.
const (
	restoreBudget      = 35
	restoreMoverBudget = 4
)

var _ = Describe("what a DataUpload or DataDownload costs and takes", Label("faults"), func() {
	DescribeTable("stays within the budget of API calls, without a conflict", func(ctx context.Context, sc scenario, controller, mover int) {
		v := play(ctx, sc, conditions{})
		Expect(v.clean()).To(BeTrue(), v.String())
		GinkgoWriter.Println(v.controller, v.mover)
		AddReportEntry("API calls", fmt.Sprintf("controller %d, mover %d", len(v.controller), len(v.mover)))
		Expect(len(v.controller)).To(BeNumerically("<=", controller), "%v", v.controller)
		Expect(len(v.mover)).To(BeNumerically("<=", mover), "%v", v.mover)
		Expect(v.conflicts).To(BeZero())
	},
		Entry("of a DataUpload", scenario{want: completed}, controllerBudget, moverBudget),
		Entry("of a DataDownload", scenario{want: completed, restores: true}, restoreBudget, restoreMoverBudget),
	)

	It("ends within 2 seconds of the prepare timeout, even if nothing wakes the controller", func(ctx context.Context) {
		v := play(ctx, scenario{want: canceled, change: missingClass}, conditions{alone: true})
		Expect(v.clean()).To(BeTrue(), v.String())
		Expect(v.ended).To(BeTemporally("~", v.began.Add(prepareTimeout), 2*time.Second))
	})

	DescribeTable("is canceled, and all is deleted, within 30 seconds", func(ctx context.Context, sc scenario) {
		v := play(ctx, sc, conditions{})
		Expect(v.clean()).To(BeTrue(), v.String())
		Expect(v.settled).To(BeTemporally("<", v.acted.Add(30*time.Second)))
	}, cancellations())
})

func cancellations() []TableEntry {
	var entries []TableEntry
	for _, sc := range scenarios() {
		if sc.want == canceled && len(sc.acts) == 1 && sc.change == nil {
			entries = append(entries, Entry(sc.name, sc))
		}
	}
	return entries
}
