// Package v2alpha1 holds the API types of group velero.io, version v2alpha1, that node-agent serves.
//
// Velero owns these kinds. Names, types and validation are Velero's, so that either side can read what the other wrote;
// node-agent adds no fields.
//
// +kubebuilder:object:generate=true
// +groupName=velero.io
package v2alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var (
	// GroupVersion is velero.io/v2alpha1.
	GroupVersion = schema.GroupVersion{Group: "velero.io", Version: "v2alpha1"}

	schemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme registers the types of this package.
	AddToScheme = schemeBuilder.AddToScheme
)

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion, &DataUpload{}, &DataUploadList{}, &DataDownload{}, &DataDownloadList{})
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
