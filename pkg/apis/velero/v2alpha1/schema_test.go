package v2alpha1_test

import (
	"maps"
	"os"
	"slices"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

func TestSchema(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Schema")
}

// field is how Velero's CRD describes one field of a DataUpload.
type field struct {
	kind, format string
	required     bool
	nullable     bool
	enum         []string
}

// veleroFields are the fields of Velero's DataUpload CRD, by their path.
var veleroFields = map[string]field{
	"spec":                            {kind: "object"},
	"spec.snapshotType":               {kind: "string", required: true},
	"spec.csiSnapshot":                {kind: "object", nullable: true},
	"spec.csiSnapshot.volumeSnapshot": {kind: "string", required: true},
	"spec.csiSnapshot.storageClass":   {kind: "string", required: true},
	"spec.csiSnapshot.snapshotClass":  {kind: "string"},
	"spec.csiSnapshot.driver":         {kind: "string"},
	"spec.sourcePVC":                  {kind: "string", required: true},
	"spec.datamover":                  {kind: "string"},
	"spec.backupStorageLocation":      {kind: "string", required: true},
	"spec.sourceNamespace":            {kind: "string", required: true},
	"spec.dataMoverConfig":            {kind: "object", nullable: true},
	"spec.cancel":                     {kind: "boolean"},
	"spec.operationTimeout":           {kind: "string", required: true},
	"spec.sourceFSType":               {kind: "string"}, // newer than Velero 1.18
	"spec.parentSnapshot":             {kind: "string"}, // newer than Velero 1.18
	"status":                          {kind: "object"},
	"status.phase": {kind: "string", enum: []string{
		`"New"`, `"Accepted"`, `"Prepared"`, `"InProgress"`, `"Canceling"`, `"Canceled"`, `"Completed"`, `"Failed"`,
	}},
	"status.path":                {kind: "string"},
	"status.snapshotID":          {kind: "string"},
	"status.dataMoverResult":     {kind: "object", nullable: true},
	"status.message":             {kind: "string"},
	"status.startTimestamp":      {kind: "string", format: "date-time", nullable: true},
	"status.completionTimestamp": {kind: "string", format: "date-time", nullable: true},
	"status.acceptedTimestamp":   {kind: "string", format: "date-time", nullable: true},
	"status.progress":            {kind: "object"},
	"status.progress.totalBytes": {kind: "integer", format: "int64"},
	"status.progress.bytesDone":  {kind: "integer", format: "int64"},
	"status.incrementalBytes":    {kind: "integer", format: "int64"},
	"status.node":                {kind: "string"},
	"status.nodeOS":              {kind: "string", enum: []string{`"auto"`, `"linux"`, `"windows"`}},
	"status.acceptedByNode":      {kind: "string"},
}

var _ = Describe("the generated DataUpload CRD", func() {
	crd := &apiextensionsv1.CustomResourceDefinition{}
	BeforeEach(func() {
		text, err := os.ReadFile("../../../../config/crd/velero.io_datauploads.yaml")
		Expect(err).NotTo(HaveOccurred())
		Expect(yaml.UnmarshalStrict(text, crd)).To(Succeed())
	})

	It("has the fields of Velero's, and no others", func() {
		found := map[string]field{}
		schema := crd.Spec.Versions[0].Schema.OpenAPIV3Schema
		for _, part := range []string{"spec", "status"} {
			collect(found, part, schema.Properties[part], false)
		}
		Expect(slices.Sorted(maps.Keys(found))).To(Equal(slices.Sorted(maps.Keys(veleroFields))))
		for path, want := range veleroFields {
			Expect(found[path]).To(Equal(want), path)
		}
	})

	It("has Velero's name, scope and version, and no status subresource", func() {
		Expect(crd.Name).To(Equal("datauploads.velero.io"))
		Expect(crd.Spec.Scope).To(Equal(apiextensionsv1.NamespaceScoped))
		Expect(crd.Spec.Names.Kind).To(Equal("DataUpload"))
		Expect(crd.Spec.Names.ListKind).To(Equal("DataUploadList"))
		Expect(crd.Spec.Names.ShortNames).To(BeEmpty())
		Expect(crd.Spec.Versions).To(HaveLen(1))
		version := crd.Spec.Versions[0]
		Expect(version.Name).To(Equal("v2alpha1"))
		Expect(version.Served && version.Storage).To(BeTrue())
		if version.Subresources != nil {
			Expect(version.Subresources.Status).To(BeNil())
		}
	})

	It("prints Velero's columns", func() {
		var columns []string
		for _, column := range crd.Spec.Versions[0].AdditionalPrinterColumns {
			columns = append(columns, column.Name+" "+column.JSONPath)
		}
		Expect(columns).To(Equal([]string{
			"Status .status.phase", "Started .status.startTimestamp", "Bytes Done .status.progress.bytesDone",
			"Total Bytes .status.progress.totalBytes", "Incremental Bytes .status.incrementalBytes",
			"Storage Location .spec.backupStorageLocation", "Age .metadata.creationTimestamp", "Node .status.node",
		}))
	})
})

// collect flattens a schema.
func collect(into map[string]field, path string, schema apiextensionsv1.JSONSchemaProps, required bool) {
	f := field{kind: schema.Type, format: schema.Format, required: required, nullable: schema.Nullable}
	for _, value := range schema.Enum {
		f.enum = append(f.enum, string(value.Raw))
	}
	into[path] = f
	for name, property := range schema.Properties {
		collect(into, path+"."+name, property, slices.Contains(schema.Required, name))
	}
}
