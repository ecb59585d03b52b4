package soak

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
)

// leakLimit is how long the clean-up of the last DataUploads may take.
const leakLimit = time.Minute

// findings are what a soak came to.
type findings struct {
	uploads  int
	phases   map[v2alpha1.Phase]int
	deleted  int
	restored int
	right    int
	leaked   []string
	lost     []string
	faults   map[string]int
	restarts int
	seconds  float64
	// problems are all that is not as it should be, leaks and losses among them.
	problems []string
}

// add judges one upload.
func (f *findings) add(ctx context.Context, u *upload, done suffered, from *restorer) {
	last := seen.get(u.name)
	if last.gone {
		f.deleted++
	} else {
		f.phases[last.phase()]++
	}
	wrong := complaints(last, done)
	switch {
	case !last.settled():
		f.lost = append(f.lost, u.name)
	case last.phase() == v2alpha1.PhaseCompleted:
		differences, err := from.differences(ctx, u, last.du.Status.SnapshotID)
		if err != nil {
			differences = append(differences, err.Error())
		}
		if len(differences) > 0 {
			f.lost = append(f.lost, u.name)
			wrong = append(wrong, "does not restore: "+strings.Join(differences, "; "))
		} else {
			f.restored++
		}
	}
	if len(wrong) == 0 {
		f.right++
		return
	}
	for _, complaint := range wrong {
		f.problems = append(f.problems, u.name+": "+complaint)
	}
}

// addLeaks waits until nothing is left, and tells what is left nevertheless.
func (f *findings) addLeaks(ctx context.Context, uploads []*upload, from *restorer) {
	err := wait.PollUntilContextTimeout(ctx, time.Second, leakLimit, true, func(ctx context.Context) (bool, error) {
		left, err := leftovers(ctx, uploads)
		if err == nil { // else what was seen last is told
			f.leaked = left
		}
		return err == nil && len(left) == 0, err
	})
	if err != nil {
		f.problems = append(f.problems, fmt.Sprintf("clean-up has not ended: %v", err))
	}
	unknown, err := unknownSnapshots(ctx, from)
	if err != nil {
		f.problems = append(f.problems, fmt.Sprintf("looking for unknown snapshots: %v", err))
	}
	f.leaked = append(f.leaked, unknown...)
	for _, left := range f.leaked {
		f.problems = append(f.problems, "left over: "+left)
	}
}

// table is for people.
func (f *findings) table() string {
	text := &strings.Builder{}
	table := tabwriter.NewWriter(text, 0, 0, 2, ' ', 0)
	row := func(name string, value any) { _, _ = fmt.Fprintf(table, "  %s\t%v\n", name, value) }
	row("seed", seed)
	row("DataUploads", f.uploads)
	for _, phase := range []v2alpha1.Phase{
		v2alpha1.PhaseCompleted, v2alpha1.PhaseFailed, v2alpha1.PhaseCanceled,
	} {
		row("  "+string(phase), f.phases[phase])
	}
	row("  deleted", f.deleted)
	total := 0
	for _, n := range f.faults {
		total += n
	}
	row("faults injected", total)
	for _, kind := range slices.Sorted(maps.Keys(f.faults)) {
		row("  "+kind, f.faults[kind])
	}
	row("agents started again", f.restarts)
	row("restored byte for byte", f.restored)
	row("ended right", f.right)
	row("leaked", len(f.leaked))
	row("lost", len(f.lost))
	row("seconds", fmt.Sprintf("%.0f", f.seconds))
	_ = table.Flush() // Into memory.
	return "\n" + text.String()
}
