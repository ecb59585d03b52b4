package faults

import (
	"context"

	. "github.com/onsi/gomega"

	"github.com/node-agent/node-agent/pkg/config"
	"github.com/node-agent/node-agent/pkg/expose"
	"github.com/node-agent/node-agent/test/cluster"
)

// restoring makes a change or act of one that is for DataDownloads only.
func restoring(change func(*restore)) func(*run) {
	return func(r *run) { change(r.movement.(*restore)) }
}

func toTarget(do func(context.Context, *restore)) func(context.Context, *run) {
	return func(ctx context.Context, r *run) { do(ctx, r.movement.(*restore)) }
}

func lateClass(d *restore) { d.Class = cluster.LateClass }

func lateTarget(d *restore) { d.targetComesLater = true }

func missingTargetClass(r *run) {
	r.movement.(*restore).Class = "missing"
	r.unprovisionable = true
}

func withCache(c *config.Config) { c.CachePVC = &config.CachePVC{StorageClass: cluster.BriefClass} }

func cached(r *run) { r.configure(withCache) }

func ignoringDelay(r *run) {
	r.movement.(*restore).Class = cluster.LateClass
	r.configure(func(c *config.Config) {
		c.RestorePVC = &config.RestorePVC{IgnoreDelayBinding: true}
		withCache(c)
	})
}

// forgetConfiguration lets the next reconciler have no configuration.
func forgetConfiguration(ctx context.Context, r *run) {
	r.configure(func(*config.Config) {})
	r.restart(ctx)
}

func useTarget(ctx context.Context, d *restore) { d.UseTarget(ctx, cluster.Node) }

func makeTarget(ctx context.Context, d *restore) { d.MakeTarget(ctx) }

func deleteTarget(ctx context.Context, d *restore) { d.DeleteTarget(ctx) }

func bindElsewhere(ctx context.Context, d *restore) {
	target := d.Target(ctx)
	target.Spec.VolumeName = elsewhere
	Expect(live.Update(ctx, target)).To(Succeed())
}

func waitsForConsumer(m moment) bool { return m.phase() == accepted && m.pvc == nil }

func cachePodIsThere(m moment) bool { return m.phase() == accepted && m.pod != nil }

// handOverBegun tells whether the volume is kept, but not the target PVC's yet.
func handOverBegun(m moment) bool {
	return m.volume != nil && expose.IsRetained(m.volume) && !targetHasVolume(m)
}

// targetHasVolume tells whether the target PVC names the volume. It need not be bound yet.
func targetHasVolume(m moment) bool {
	return m.target != nil && m.volume != nil && m.target.Spec.VolumeName == m.volume.Name
}

// restores are the scenarios of DataDownloads.
func restores() []scenario {
	all := append(common(),
		scenario{
			name: "success, class that binds with the first consumer", want: completed, change: restoring(lateClass),
			acts: []act{{when: waitsForConsumer, do: toTarget(useTarget)}},
		},
		scenario{name: "success, ignoreDelayBinding and cachePVC", want: completed, change: ignoringDelay},
		scenario{
			name: "success, target PVC that comes later", want: completed, change: restoring(lateTarget),
			acts: []act{at(isNew, toTarget(makeTarget))},
		},
		scenario{name: "prepare timeout", want: canceled, change: missingTargetClass, acts: []act{at(accepted, passPrepareTimeout)}},
		scenario{
			name: "configuration changes in between", want: completed, change: ignoringDelay,
			acts: []act{{when: pvcIsThere, do: forgetConfiguration}},
		},
		scenario{name: "cancel in Accepted, cachePVC", want: canceled, change: cached, acts: []act{{when: cachePodIsThere, do: cancel}}},
		scenario{name: "cancel when the mover is done", want: canceled, acts: []act{{when: moverIsDone, do: cancel}}},
		scenario{name: "target PVC deleted in InProgress", want: failed, acts: []act{at(inProgress, toTarget(deleteTarget))}},
	)
	all = append(all, handOvers()...)
	all = append(all, partitions()...)
	for i := range all {
		all[i].name, all[i].restores = "restore: "+all[i].name, true
	}
	return all
}

// handOvers are scenarios in which something happens while the volume is handed over.
func handOvers() []scenario {
	during := func(do func(context.Context, *run)) []act { return []act{{when: handOverBegun, do: do}} }
	late := func(do func(context.Context, *run)) []act { return []act{{when: targetHasVolume, do: do}} }
	return []scenario{
		{name: "cancel in the hand-over", want: canceled, tooLate: completed, acts: during(cancel)},
		{name: "deletion in the hand-over", want: deleted, acts: during(deleteMove)},
		{name: "target PVC deleted in the hand-over", want: failed, acts: during(toTarget(deleteTarget))},
		{name: "target PVC bound to another volume in the hand-over", want: failed, acts: during(toTarget(bindElsewhere))},
		{name: "cancel when the target PVC has the volume", want: completed, acts: late(cancel)},
		{name: "deletion when the target PVC has the volume", want: deleted, acts: late(deleteMove)},
		{name: "target PVC deleted when it has the volume", want: failed, acts: late(toTarget(deleteTarget))},
	}
}
