// Package schema says which settings there are and what each may be, holds documents against that, and makes a configuration
// of what passes. Nothing here talks to a cluster.
package schema

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/node-agent/node-agent/pkg/config/document"
)

// schema says what a value may be. The whole ConfigMap is described by data so that checking, suggestions and the test of
// the documentation go by the same list.
type schema struct {
	kind document.Kind
	// what a value of this kind is called in "expected ...".
	what string
	// fields are the keys of an object. An object without fields is a map with free keys: keyRule and each describe them.
	fields  []field
	keyRule *rule
	// stray is the key of an object under which people forget to put what they write beside it.
	stray string
	// keyName stands for a free key in the path of a suggestion.
	keyName string
	// each describes the elements of a list or the values of a map.
	each *schema
	// rule checks the content of a string, minimum the value of a number.
	rule    *rule
	minimum float64
	// cross checks what several values have to do with each other.
	cross func(c *checker, n *yaml.Node, path string)
}

type field struct {
	name     string
	required bool
	// inert settings are checked but change nothing, because they do not concern what node-agent does.
	inert bool
	value *schema
}

func object(fields ...field) *schema {
	return &schema{kind: document.Object, what: "an object", fields: fields}
}

func (s *schema) with(cross func(*checker, *yaml.Node, string)) *schema {
	s.cross = cross
	return s
}

func (s *schema) called(what string) *schema {
	s.what = what
	return s
}

func (s *schema) forgetting(key string) *schema {
	s.stray = key
	return s
}

func listOf(each *schema) *schema {
	return &schema{kind: document.List, what: "a list", each: each}
}

func mapOf(keyName string, keys *rule, each *schema) *schema {
	return &schema{kind: document.Object, what: "an object", keyName: keyName, keyRule: keys, each: each}
}

func text(r *rule) *schema {
	return &schema{kind: document.String, what: r.expected, rule: r}
}

func integer(minimum float64) *schema {
	return &schema{kind: document.Number, what: fmt.Sprintf("a whole number of at least %v", minimum), minimum: minimum}
}

// field returns the field of a name, in whatever capitals.
func (s *schema) field(name string) *field {
	i := slices.IndexFunc(s.fields, func(f field) bool { return strings.EqualFold(f.name, name) })
	if i < 0 {
		return nil
	}
	return &s.fields[i]
}

func (s *schema) names() []string {
	names := make([]string, 0, len(s.fields))
	for _, f := range s.fields {
		names = append(names, f.name)
	}
	return names
}

var (
	boolean     = &schema{kind: document.Boolean, what: "true or false"}
	positive    = integer(1)
	notNegative = integer(0)

	labels      = mapOf("<label>", labelKey, text(labelValue))
	annotations = mapOf("<annotation>", annotationKey, text(anyText)).with(checkAnnotationSize)
	secretNames = listOf(text(secretName))
	configMaps  = listOf(text(configMapName))

	nodeSelector = object(
		field{name: "matchLabels", value: labels},
		field{name: "matchExpressions", value: listOf(object(
			field{name: "key", required: true, value: text(labelKey)},
			field{name: "operator", required: true, value: text(operator)},
			field{name: "values", value: listOf(text(labelValue))},
		).with(checkRequirement))},
	).called("a label selector, {} for every node").forgetting("matchLabels")

	root = object(
		field{name: "loadConcurrency", value: object(
			field{name: "globalConfig", value: positive},
			field{name: "perNodeConfig", value: listOf(object(
				field{name: "nodeSelector", required: true, value: nodeSelector},
				field{name: "number", required: true, value: positive},
			).with(warnEmptySelector))},
			field{name: "prepareQueueLength", value: notNegative},
		)},
		field{name: "loadAffinity", value: listOf(object(
			field{name: "nodeSelector", required: true, value: nodeSelector},
			field{name: "storageClass", value: text(optionalStorageClass)},
		)).with(warnUnusedAffinity)},
		field{name: "podResources", value: object(
			field{name: "cpuRequest", value: text(cpu)},
			field{name: "memoryRequest", value: text(byteCount)},
			field{name: "ephemeralStorageRequest", value: text(byteCount)},
			field{name: "cpuLimit", value: text(cpu)},
			field{name: "memoryLimit", value: text(byteCount)},
			field{name: "ephemeralStorageLimit", value: text(byteCount)},
		).with(checkLimits)},
		field{name: "backupPVC", value: mapOf("<source storage class>", optionalStorageClass, object(
			field{name: "storageClass", value: text(optionalStorageClass)},
			field{name: "readOnly", value: boolean},
			field{name: "spcNoRelabeling", value: boolean},
			field{name: "readWriteOncePod", value: boolean},
			field{name: "annotations", value: annotations},
			field{name: "secretNames", value: secretNames},
			field{name: "configMapNames", value: configMaps},
		).with(warnIgnored)).with(warnWithoutClass)},
		field{name: "restorePVC", value: object(
			field{name: "ignoreDelayBinding", value: boolean},
			field{name: "secretNames", value: secretNames},
			field{name: "configMapNames", value: configMaps},
		)},
		field{name: "cachePVC", value: object(
			field{name: "storageClass", required: true, value: text(storageClass)},
			field{name: "residentThresholdInMB", value: notNegative},
			field{name: "thresholdInGB", value: notNegative},
		).with(checkThresholds)},
		field{name: "priorityClassName", value: text(priorityClass)},
		field{name: "podLabels", value: mapOf("<label>", labelKey, text(labelValue)).with(checkReservedLabels)},
		field{name: "podAnnotations", value: annotations},
		field{name: "tolerations", value: listOf(object(
			field{name: "key", value: text(optionalLabelKey)},
			field{name: "operator", value: text(tolerationOperator)},
			field{name: "value", value: text(labelValue)},
			field{name: "effect", value: text(taintEffect)},
			field{name: "tolerationSeconds", value: notNegative},
		).with(checkToleration).called("a toleration"))},
		field{name: "privilegedFsBackup", inert: true, value: boolean},
		field{name: "csiSnapshotMetadataServiceConfigs", inert: true, value: object(
			field{name: "saName", required: true, value: text(serviceAccount)},
		)},
	)
)
