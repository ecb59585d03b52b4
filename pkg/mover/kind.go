package mover

import (
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
)

// kind is the kind of the object that a mover serves.
type kind struct {
	// name is the one in the API.
	name string
	// verb is what is done with the data, in a word.
	verb string

	newTransfer func() v2alpha1.Transfer
	newList     func() client.ObjectList
}

var dataUploads = kind{
	name:        v2alpha1.KindDataUpload,
	verb:        "upload",
	newTransfer: func() v2alpha1.Transfer { return &v2alpha1.DataUpload{} },
	newList:     func() client.ObjectList { return &v2alpha1.DataUploadList{} },
}

var dataDownloads = kind{
	name:        v2alpha1.KindDataDownload,
	verb:        "restore",
	newTransfer: func() v2alpha1.Transfer { return &v2alpha1.DataDownload{} },
	newList:     func() client.ObjectList { return &v2alpha1.DataDownloadList{} },
}
