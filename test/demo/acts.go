package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
)

const (
	// moveLimit is far more than upload and restore take.
	moveLimit = 90 * time.Second

	prepareTimeout = 12 * time.Second
	// tolerance allows for a busy machine.
	tolerance = 2 * time.Second
)

// backUp is the first act: a DataUpload becomes Completed.
func (d *demo) backUp(ctx context.Context, source workload) (*v2alpha1.DataUpload, error) {
	d.showConfig(goodConfig, goodText)
	d.out.begin("node-agent server, --data-mover-restore-verify")
	err := d.startAgent(ctx, "node-agent-1", "--node-agent-configmap="+goodConfig, "--data-mover-restore-verify")
	if err != nil {
		return nil, err
	}
	d.out.done()
	taken, err := d.takeSnapshot(ctx, source, "backup-1")
	if err != nil {
		return nil, err
	}
	du, err := d.createDataUpload(ctx, source, taken, "backup-1")
	if err != nil {
		return nil, err
	}
	d.out.line("DataUpload %s\n", du.Name)
	du, _, err = follow(ctx, d, du, &v2alpha1.DataUploadList{}, moveLimit, func(phase v2alpha1.Phase) error {
		if phase == v2alpha1.PhaseInProgress {
			return d.showExposed(ctx, du)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	d.out.print("\n")
	if du.Status.Phase != v2alpha1.PhaseCompleted {
		return nil, fmt.Errorf("the DataUpload is %s, not Completed: %s", du.Status.Phase, du.Status.Message)
	}
	d.out.line("snapshot %s, %s\n", du.Status.SnapshotID, mib(du.Status.Progress.TotalBytes))
	return du, d.checkCleanedUp(ctx, du, &taken)
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

// cancelLate is the third act: the documented end of a DataUpload whose backupPVC cannot be made.
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
	du, canceled, err := follow(ctx, d, du, &v2alpha1.DataUploadList{}, 3*prepareTimeout, nil)
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
	return d.checkCleanedUp(ctx, du, &taken)
}
