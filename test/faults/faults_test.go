package faults

import (
	"context"
	"fmt"
	"os"
	"strconv"

	. "github.com/onsi/ginkgo/v2"
)

// everything is set for the complete suite; else a sample is taken.
var everything = os.Getenv("FAULTS") == "all"

// conditionsInTurn is how many conditions take turns where nothing is said about the sample: each scenario is played under
// one of them, which depends on the seed.
const conditionsInTurn = 3

// isTurnOf tells whether a scenario is played under a condition.
func isTurnOf(condition, scenario int) bool {
	return os.Getenv("FAULTS") != "" || (condition+scenario+int(GinkgoRandomSeed()))%conditionsInTurn == 0
}

// stride is how far apart in the list of all faults at all calls those of the sample are, by default. It shares no factor
// with the number of faults, so that the sample has them all.
var stride = numberOr("FAULTS", 97)

func numberOr(variable string, otherwise int) int {
	number, err := strconv.Atoi(os.Getenv(variable))
	if err != nil || number < 1 {
		return otherwise
	}
	return number
}

// mishap is one fault at one call.
type mishap struct {
	who   string
	call  call
	fault fault
}

func (m mishap) String() string { return fmt.Sprintf("%s, %s of the %s", m.fault.name, m.call, m.who) }

func (m mishap) conditions() conditions {
	if m.who == "mover" {
		return conditions{mover: m.call, fault: m.fault}
	}
	return conditions{controller: m.call, fault: m.fault}
}

// portions are the faults that one spec injects each. A complete run has a spec for each of them, for processes to share.
func portions() [][]fault {
	if !everything {
		return [][]fault{faults}
	}
	var single [][]fault
	for _, f := range faults {
		single = append(single, []fault{f})
	}
	return single
}

// mishaps are all faults that can happen to the calls of a run, or a sample of that. Samples that begin at different places
// complement each other.
func mishaps(v *verdict, faults []fault, begin int) []mishap {
	var all []mishap
	for _, process := range []struct {
		name  string
		calls []call
	}{{"controller", v.controller}, {"mover", v.mover}} {
		for _, c := range process.calls {
			for _, f := range faults {
				all = append(all, mishap{who: process.name, call: c, fault: f})
			}
		}
	}
	if everything {
		return all
	}
	var sample []mishap
	for i := begin % stride; i < len(all); i += stride {
		sample = append(sample, all[i])
	}
	return sample
}

var _ = Describe("a fault of a single API call", Label("faults"), func() {
	for i, sc := range scenarios() {
		if !isTurnOf(0, i) {
			continue
		}
		for _, portion := range portions() {
			It("changes nothing about "+sc.name, func(ctx context.Context) {
				row := newRow("one API call fails", sc.name)
				good := play(ctx, sc, conditions{})
				row.add(good, "no fault at all")
				for _, m := range mishaps(good, portion, 23*i) {
					By(m.String())
					row.add(play(ctx, sc, m.conditions()), m.String())
				}
				row.check()
			})
		}
	}
})
