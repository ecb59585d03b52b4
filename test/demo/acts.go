package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/location"
	"github.com/node-agent/node-agent/pkg/repository"
	"github.com/node-agent/node-agent/test/demo/tree"
	"github.com/node-agent/node-agent/test/installation"
)

const (
	// uploadLimit is far more than the upload takes.
	uploadLimit = 90 * time.Second

	prepareTimeout = 12 * time.Second
	// shownDifferences are enough to see what is wrong.
	shownDifferences = 30

	// tolerance allows for a busy machine.
	tolerance = 2 * time.Second
)

// backUp is the first act: a DataUpload becomes Completed, and its snapshot in the repository is the volume.
func (d *demo) backUp(ctx context.Context, source workload) error {
	d.showConfig(goodConfig, goodText)
	d.out.begin("node-agent server")
	if err := d.startAgent(ctx, "node-agent-1", "--node-agent-configmap="+goodConfig); err != nil {
		return err
	}
	d.out.done()
	taken, err := d.takeSnapshot(ctx, source, "backup-1")
	if err != nil {
		return err
	}
	du, err := d.createDataUpload(ctx, source, taken, "backup-1")
	if err != nil {
		return err
	}
	d.out.line("DataUpload %s\n", du.Name)
	du, _, err = d.follow(ctx, du, uploadLimit, func(phase v2alpha1.Phase) error {
		if phase == v2alpha1.PhaseInProgress {
			return d.showExposed(ctx, du)
		}
		return nil
	})
	if err != nil {
		return err
	}
	d.out.print("\n")
	if du.Status.Phase != v2alpha1.PhaseCompleted {
		return fmt.Errorf("the DataUpload is %s, not Completed: %s", du.Status.Phase, du.Status.Message)
	}
	d.out.line("snapshot %s, %s\n", du.Status.SnapshotID, mib(du.Status.Progress.TotalBytes))
	if err := d.checkCleanedUp(ctx, du, source, taken); err != nil {
		return err
	}
	return d.checkRestore(ctx, source, du.Status.SnapshotID)
}

// showConfig prints a ConfigMap on one line.
func (d *demo) showConfig(name, text string) {
	compact := &bytes.Buffer{}
	if err := json.Compact(compact, []byte(text)); err != nil {
		compact.WriteString(text)
	}
	d.out.line("ConfigMap %s:", name)
	d.out.line("  %s", compact)
}

// checkRestore restores from the repository and compares with the volume, which has not changed since the snapshot.
func (d *demo) checkRestore(ctx context.Context, source workload, snapshotID string) (err error) {
	d.out.print("\n")
	d.out.begin("restoring from the repository")
	log := logrus.New()
	log.SetOutput(d.log)
	access, err := location.Resolve(
		ctx, d.client, installation.VeleroNamespace, installation.LocationName, workloadNamespace, d.scratchDir(), log)
	if err != nil {
		return err
	}
	opened, err := repository.Open(ctx, access)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, opened.Close(ctx)) }()
	if _, err := opened.Restore(ctx, repository.RestoreRequest{SnapshotID: snapshotID, Path: d.restoredDir()}); err != nil {
		return err
	}
	d.out.done()
	d.out.begin("comparing every byte, mode, owner, time and link")
	counts, differences, err := tree.Compare(source.dir, d.restoredDir())
	if err != nil {
		return err
	}
	d.out.done()
	d.out.line("%d files, %d directories, %d links, %s: %d differences",
		counts.Files, counts.Directories, counts.Links, mib(counts.Bytes), len(differences))
	if len(differences) > 0 {
		d.out.lines(differences[:min(len(differences), shownDifferences)])
		return errors.New("what was restored is not what was backed up")
	}
	return tree.Unlock(d.restoredDir())
}

// cancelLate is the second act: the documented end of a DataUpload whose backupPVC cannot be made.
func (d *demo) cancelLate(ctx context.Context, source workload) error {
	d.showConfig(brokenConfig, brokenText)
	d.out.begin(fmt.Sprintf("node-agent server, --data-mover-prepare-timeout=%s", prepareTimeout))
	err := d.startAgent(ctx, "node-agent-2",
		"--node-agent-configmap="+brokenConfig, "--data-mover-prepare-timeout="+prepareTimeout.String())
	if err != nil {
		return err
	}
	d.out.done()
	taken, err := d.takeSnapshot(ctx, source, "backup-2")
	if err != nil {
		return err
	}
	du, err := d.createDataUpload(ctx, source, taken, "backup-2")
	if err != nil {
		return err
	}
	d.out.line("DataUpload %s\n", du.Name)
	du, canceled, err := d.follow(ctx, du, 3*prepareTimeout, nil)
	if err != nil {
		return err
	}
	d.out.print("\n")
	if du.Status.Phase != v2alpha1.PhaseCanceled {
		return fmt.Errorf("the DataUpload is %s, not Canceled: %s", du.Status.Phase, du.Status.Message)
	}
	waited := canceled.Sub(du.Status.AcceptedTimestamp.Time)
	d.out.line("Canceled %.1f s after its acceptedTimestamp; the prepare timeout is %s", waited.Seconds(), prepareTimeout)
	if waited < prepareTimeout || waited > prepareTimeout+tolerance {
		return errors.New("the DataUpload was not canceled on time")
	}
	return d.checkCleanedUp(ctx, du, source, taken)
}
