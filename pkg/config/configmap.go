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
	source := fmt.Sprintf("configmap %s/%s", cm.Namespace, cm.Name)
	if keys := quotedKeys(cm.BinaryData); len(keys) > 0 {
		return nil, newError(source, Problem{
			Found: "binaryData with " + strings.Join(keys, ", "), Expected: "text in data",
			Suggestion: "save the file as UTF-8 before the ConfigMap is made from it",
		})
	}
	keys := quotedKeys(cm.Data)
	switch len(keys) {
	case 0:
		return nil, newError(source, Problem{Found: "no key in data", Expected: "exactly one with the configuration"})
	case 1:
		for key, value := range cm.Data {
			cfg, err := Decode(source+", key "+key, []byte(value))
			if cfg != nil {
				cfg.source = fmt.Sprintf("%s (resource version %s)", source, cm.ResourceVersion)
			}
			return cfg, err
		}
	}
	return nil, newError(source, Problem{
		Found: fmt.Sprintf("%d keys in data (%s)", len(keys), strings.Join(keys, ", ")), Expected: "exactly one",
		Suggestion: "merge them into one, or remove the others",
	})
}

func quotedKeys[Value any](data map[string]Value) []string {
	keys := slices.Sorted(maps.Keys(data))
	for i, key := range keys {
		keys[i] = quote(key)
	}
	return keys
}
