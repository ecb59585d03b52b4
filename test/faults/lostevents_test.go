package faults

import (
	"context"
	"fmt"

	. "github.com/onsi/ginkgo/v2"
)

// seeds is how many histories of a lagging cache each scenario is played with.
func seeds() uint64 {
	if everything {
		return 20
	}
	return 1
}

var _ = Describe("a run without watch events", Label("faults"), func() {
	for i, sc := range scenarios() {
		if !isTurnOf(1, i) {
			continue
		}
		It("ends right all the same: "+sc.name, func(ctx context.Context) {
			row := newRow("no watch event at all", sc.name)
			row.add(play(ctx, sc, conditions{alone: true}), "no watch event")
			row.check()
		})
	}
})

var _ = Describe("a cache that lags", Label("faults"), func() {
	for i, sc := range scenarios() {
		if !isTurnOf(2, i) {
			continue
		}
		It("changes nothing about "+sc.name, func(ctx context.Context) {
			row := newRow("the cache lags", sc.name)
			for n := range seeds() {
				seed := uint64(GinkgoRandomSeed()) + n*1000 + uint64(i)
				By(fmt.Sprintf("seed %d", seed))
				row.add(play(ctx, sc, conditions{seed: seed}), fmt.Sprintf("seed %d", seed))
			}
			row.check()
		})
	}
})
