// Package transfer holds the steps that DataUploads and DataDownloads have in common, one file each: waiting in line, the repository,
// copies of Secrets, a pod that moves the data and may be lost, an end, and clean-up. Packages dataupload and datadownload hold
// those that differ.
package transfer

import (
	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/controller/engine"
)

// Steps are the steps that both kinds have.
type Steps struct{ *engine.Engine }

// Short names of the phases.
const (
	prepared   = v2alpha1.PhasePrepared
	inProgress = v2alpha1.PhaseInProgress
	canceling  = v2alpha1.PhaseCanceling
	canceled   = v2alpha1.PhaseCanceled
	failed     = v2alpha1.PhaseFailed
)
