package mover

import (
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
)

// subject is the object that a mover serves, as far as DataUploads and DataDownloads are alike.
type subject struct {
	client.Object

	phase    v2alpha1.Phase
	cancel   bool
	progress v2alpha1.DataMoveOperationProgress
}

// kind is the kind of the object that a mover serves.
type kind struct {
	// name is the one in the API.
	name string
	// move is what is done with the data, in a word.
	move string

	newObject func() client.Object
	newList   func() client.ObjectList
	// read tells what an object says. It returns nil for an object of another kind.
	read func(client.Object) *subject
}

var dataUploads = kind{
	name:      "DataUpload",
	move:      "upload",
	newObject: func() client.Object { return &v2alpha1.DataUpload{} },
	newList:   func() client.ObjectList { return &v2alpha1.DataUploadList{} },
	read: func(obj client.Object) *subject {
		du, ok := obj.(*v2alpha1.DataUpload)
		if !ok {
			return nil
		}
		return &subject{Object: du, phase: du.Status.Phase, cancel: du.Spec.Cancel, progress: du.Status.Progress}
	},
}

var dataDownloads = kind{
	name:      "DataDownload",
	move:      "restore",
	newObject: func() client.Object { return &v2alpha1.DataDownload{} },
	newList:   func() client.ObjectList { return &v2alpha1.DataDownloadList{} },
	read: func(obj client.Object) *subject {
		dd, ok := obj.(*v2alpha1.DataDownload)
		if !ok {
			return nil
		}
		return &subject{Object: dd, phase: dd.Status.Phase, cancel: dd.Spec.Cancel, progress: dd.Status.Progress}
	},
}
