package transfer

import (
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
)

// Leftovers are the objects that were made for a DataUpload or DataDownload which no clean-up follows any more, because it is
// gone or has lost its finalizer: as the API server shows them, not a cache.
type Leftovers struct {
	// Move is the one in the cluster. If it is gone, it has namespace, name and UID only.
	Transfer v2alpha1.Transfer
	// Objects are what is found by its label.
	Objects []client.Object
}
