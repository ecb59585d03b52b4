package v2alpha1_test

import (
	"maps"
	"os"
	"slices"
	"strings"
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

// field is how Velero's CRD describes one field.
type field struct {
	kind, format string
	required     bool
	nullable     bool
	enum         []string
}

var phases = []string{
	`"New"`, `"Accepted"`, `"Prepared"`, `"InProgress"`, `"Canceling"`, `"Canceled"`, `"Completed"`, `"Failed"`,
}

// dataUploadFields are the fields of Velero's DataUpload CRD, by their path.
var dataUploadFields = map[string]field{
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
	"status.phase":                    {kind: "string", enum: phases},
	"status.path":                     {kind: "string"},
	"status.snapshotID":               {kind: "string"},
	"status.dataMoverResult":          {kind: "object", nullable: true},
	"status.message":                  {kind: "string"},
	"status.startTimestamp":           {kind: "string", format: "date-time", nullable: true},
	"status.completionTimestamp":      {kind: "string", format: "date-time", nullable: true},
	"status.acceptedTimestamp":        {kind: "string", format: "date-time", nullable: true},
	"status.progress":                 {kind: "object"},
	"status.progress.totalBytes":      {kind: "integer", format: "int64"},
	"status.progress.bytesDone":       {kind: "integer", format: "int64"},
	"status.incrementalBytes":         {kind: "integer", format: "int64"},
	"status.node":                     {kind: "string"},
	"status.nodeOS":                   {kind: "string", enum: []string{`"auto"`, `"linux"`, `"windows"`}},
	"status.acceptedByNode":           {kind: "string"},
}

// dataDownloadFields are the fields of Velero's DataDownload CRD, by their path.
var dataDownloadFields = map[string]field{
	"spec":                        {kind: "object"},
	"spec.targetVolume":           {kind: "object", required: true},
	"spec.targetVolume.pvc":       {kind: "string", required: true},
	"spec.targetVolume.pv":        {kind: "string", required: true},
	"spec.targetVolume.namespace": {kind: "string", required: true},
	"spec.backupStorageLocation":  {kind: "string", required: true},
	"spec.datamover":              {kind: "string"},
	"spec.snapshotID":             {kind: "string", required: true},
	"spec.sourceNamespace":        {kind: "string", required: true},
	"spec.dataMoverConfig":        {kind: "object"},
	"spec.cancel":                 {kind: "boolean"},
	"spec.operationTimeout":       {kind: "string", required: true},
	"spec.nodeOS":                 {kind: "string", enum: []string{`"auto"`, `"linux"`, `"windows"`}},
	"spec.snapshotSize":           {kind: "integer", format: "int64"},
	"status":                      {kind: "object"},
	"status.phase":                {kind: "string", enum: phases},
	"status.message":              {kind: "string"},
	"status.startTimestamp":       {kind: "string", format: "date-time", nullable: true},
	"status.completionTimestamp":  {kind: "string", format: "date-time", nullable: true},
	"status.acceptedTimestamp":    {kind: "string", format: "date-time", nullable: true},
	"status.progress":             {kind: "object"},
	"status.progress.totalBytes":  {kind: "integer", format: "int64"},
	"status.progress.bytesDone":   {kind: "integer", format: "int64"},
	"status.node":                 {kind: "string"},
	"status.acceptedByNode":       {kind: "string"},
}

// columns of Velero's CRDs; a DataUpload has one more in their midst.
var (
	firstColumns = []string{
		"Status .status.phase", "Started .status.startTimestamp", "Bytes Done .status.progress.bytesDone",
		"Total Bytes .status.progress.totalBytes",
	}
	lastColumns = []string{
		"Storage Location .spec.backupStorageLocation", "Age .metadata.creationTimestamp", "Node .status.node",
	}
)

var _ = Describe("a generated CRD", func() {
	DescribeTable("has Velero's name, scope and version, and no status subresource", func(kind string) {
		crd := read(kind)
		Expect(crd.Name).To(Equal(strings.ToLower(kind) + "s.velero.io"))
		Expect(crd.Spec.Scope).To(Equal(apiextensionsv1.NamespaceScoped))
		Expect(crd.Spec.Names.Kind).To(Equal(kind))
		Expect(crd.Spec.Names.ListKind).To(Equal(kind + "List"))
		Expect(crd.Spec.Names.ShortNames).To(BeEmpty())
		Expect(crd.Spec.Versions).To(HaveLen(1))
		version := crd.Spec.Versions[0]
		Expect(version.Name).To(Equal("v2alpha1"))
		Expect(version.Served && version.Storage).To(BeTrue())
		if version.Subresources != nil {
			Expect(version.Subresources.Status).To(BeNil())
		}
	},
		Entry("DataUpload", "DataUpload"),
		Entry("DataDownload", "DataDownload"),
	)

	DescribeTable("has the fields of Velero's, and no others", func(kind string, fields map[string]field) {
		found := map[string]field{}
		schema := read(kind).Spec.Versions[0].Schema.OpenAPIV3Schema
		for _, part := range []string{"spec", "status"} {
			collect(found, part, schema.Properties[part], false)
		}
		Expect(slices.Sorted(maps.Keys(found))).To(Equal(slices.Sorted(maps.Keys(fields))))
		for path, want := range fields {
			Expect(found[path]).To(Equal(want), path)
		}
	},
		Entry("DataUpload", "DataUpload", dataUploadFields),
		Entry("DataDownload", "DataDownload", dataDownloadFields),
	)

	DescribeTable("prints Velero's columns", func(kind string, own ...string) {
		var columns []string
		for _, column := range read(kind).Spec.Versions[0].AdditionalPrinterColumns {
			columns = append(columns, column.Name+" "+column.JSONPath)
		}
		Expect(columns).To(Equal(slices.Concat(firstColumns, own, lastColumns)))
	},
		Entry("DataUpload", "DataUpload", "Incremental Bytes .status.incrementalBytes"),
		Entry("DataDownload", "DataDownload"),
	)
})

func read(kind string) *apiextensionsv1.CustomResourceDefinition {
	GinkgoHelper()
	text, err := os.ReadFile("../../../../config/crd/velero.io_" + strings.ToLower(kind) + "s.yaml")
	Expect(err).NotTo(HaveOccurred())
	crd := &apiextensionsv1.CustomResourceDefinition{}
	Expect(yaml.UnmarshalStrict(text, crd)).To(Succeed())
	return crd
}

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
