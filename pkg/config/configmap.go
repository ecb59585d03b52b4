package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// FromConfigMap reads the configuration from the one key of a ConfigMap; its name does not matter. An error is an *Error.
func FromConfigMap(cm *corev1.ConfigMap) (*Config, error) {
	return Decoder{}.FromConfigMap(cm)
}

// FromConfigMap is as the function FromConfigMap, but for what the Decoder says.
func (d Decoder) FromConfigMap(cm *corev1.ConfigMap) (*Config, error) {
	document := d.CheckConfigMap(cm)
	return document.Config, document.Err()
}

// CheckConfigMap reads a ConfigMap as FromConfigMap does and keeps what is known about it.
func (d Decoder) CheckConfigMap(cm *corev1.ConfigMap) *Document {
	source := fmt.Sprintf("configmap %s/%s", cm.Namespace, cm.Name)
	key, problem := onlyKey(slices.Sorted(maps.Keys(cm.BinaryData)), slices.Sorted(maps.Keys(cm.Data)))
	if problem != nil {
		return &Document{Source: source, Problems: []Problem{*problem}}
	}
	document := d.Check(source+", key "+key, []byte(cm.Data[key]))
	document.Key = key
	if document.Config != nil {
		document.Config.source = fmt.Sprintf("%s (resource version %s)", source, cm.ResourceVersion)
	}
	return document
}

// onlyKey finds the key that holds the configuration among those of a ConfigMap.
func onlyKey(binary, text []string) (string, *Problem) {
	switch {
	case len(binary) > 0:
		return "", &Problem{
			Found: "binaryData with " + quoteAll(binary), Expected: "text in data",
			Suggestion: "save the file as UTF-8 before the ConfigMap is made from it",
		}
	case len(text) == 0:
		return "", &Problem{Found: "no key in data", Expected: "exactly one with the configuration"}
	case len(text) == 1:
		return text[0], nil
	}
	return "", &Problem{
		Found: fmt.Sprintf("%d keys in data (%s)", len(text), quoteAll(text)), Expected: "exactly one",
		Suggestion: "merge them into one, or remove the others",
	}
}

func quoteAll(keys []string) string {
	quoted := make([]string, 0, len(keys))
	for _, key := range keys {
		quoted = append(quoted, quote(key))
	}
	return strings.Join(quoted, ", ")
}
