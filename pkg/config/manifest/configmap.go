package manifest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/node-agent/node-agent/pkg/config/problem"
	"github.com/node-agent/node-agent/pkg/config/schema"
)

// CheckConfigMap reads the configuration from the one key of a ConfigMap, whose name does not matter.
func CheckConfigMap(decoder schema.Decoder, cm *corev1.ConfigMap) *schema.Checked {
	source := fmt.Sprintf("configmap %s/%s", cm.Namespace, cm.Name)
	key, wrong := onlyKey(slices.Sorted(maps.Keys(cm.BinaryData)), slices.Sorted(maps.Keys(cm.Data)))
	if wrong != nil {
		return &schema.Checked{Source: source, Problems: []problem.Problem{*wrong}}
	}
	checked := decoder.Check(source+", key "+key, []byte(cm.Data[key]))
	checked.Key = key
	if checked.Config != nil {
		checked.Config.Source = fmt.Sprintf("%s (resource version %s)", source, cm.ResourceVersion)
	}
	return checked
}

// onlyKey finds the key that holds the configuration among those of a ConfigMap.
func onlyKey(binary, text []string) (string, *problem.Problem) {
	switch {
	case len(binary) > 0:
		return "", &problem.Problem{
			Found: "binaryData with " + quoteAll(binary), Expected: "text in data",
			Suggestion: "save the file as UTF-8 before the ConfigMap is made from it",
		}
	case len(text) == 0:
		return "", &problem.Problem{Found: "no key in data", Expected: "exactly one with the configuration"}
	case len(text) == 1:
		return text[0], nil
	}
	return "", &problem.Problem{
		Found: fmt.Sprintf("%d keys in data (%s)", len(text), quoteAll(text)), Expected: "exactly one",
		Suggestion: "merge them into one, or remove the others",
	}
}

func quoteAll(keys []string) string {
	quoted := make([]string, 0, len(keys))
	for _, key := range keys {
		quoted = append(quoted, problem.Quote(key))
	}
	return strings.Join(quoted, ", ")
}
