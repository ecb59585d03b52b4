package engine

import (
	"fmt"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
)

// What spec.datamover names. The names are Velero's; "velero-fs" and "velero-block" are those of newer versions. Other names are other
// people's data movers, whose objects are none of our business.
var (
	servedDataMovers = []string{"", "velero", "velero-fs"}
	// refusedDataMovers are those that Velero's own node-agent would serve in our place, so that nobody does.
	refusedDataMovers = []string{"velero-block"}
)

// isOurs tells whether a DataUpload or DataDownload is for us to serve, or to refuse. One that stock Velero has begun to serve is its own.
func isOurs(transfer v2alpha1.Transfer) bool {
	mover := transfer.TransferSpec().DataMover
	return slices.Contains(servedDataMovers, mover) ||
		slices.Contains(refusedDataMovers, mover) &&
			(slices.Contains([]v2alpha1.Phase{"", isNew}, transfer.TransferStatus().Phase) ||
				controllerutil.ContainsFinalizer(transfer, v2alpha1.Finalizer))
}

// RefusedDataMover says why a data mover is refused, or nothing.
func RefusedDataMover(name string) string {
	if !slices.Contains(refusedDataMovers, name) {
		return ""
	}
	return fmt.Sprintf("spec.datamover is %q, which this node-agent does not serve: use data mover \"velero\", "+
		"or put Velero's own image back into DaemonSet node-agent", name)
}
