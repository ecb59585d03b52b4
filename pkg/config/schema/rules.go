package schema

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/api/validate/content"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/node-agent/node-agent/pkg/config/problem"
)

// rule says what the content of a string or key may be.
type rule struct {
	expected string
	valid    func(string) bool
	// near returns a string that may be meant instead of an invalid one, "" if nothing comes to mind. Nil: nothing does.
	near func(string) string
	// doubt says what is doubtful about a valid string, "" for nothing. Nil: nothing is.
	doubt func(string) string
}

var (
	storageClass         = storageClassName()
	optionalStorageClass = optional(storageClass)
	priorityClass        = optional(nameOf("a priority class"))
	secretName           = nameOf("a Secret")
	configMapName        = nameOf("a ConfigMap")
	serviceAccount       = nameOf("a service account")

	anyText = &rule{expected: "a string", valid: func(string) bool { return true }}

	labelKey = &rule{
		expected: "a label key: [domain/]name, the name of up to 63 letters, digits, '-', '_' and '.'",
		valid:    func(key string) bool { return len(content.IsLabelKey(key)) == 0 },
	}
	// Kubernetes checks annotation keys in lower case, so that the domain may have capitals.
	annotationKey = &rule{
		expected: "an annotation key: [domain/]name, the name of up to 63 letters, digits, '-', '_' and '.'",
		valid:    func(key string) bool { return len(content.IsLabelKey(strings.ToLower(key))) == 0 },
	}
	optionalLabelKey = optional(labelKey)
	labelValue       = &rule{
		expected: "a label value: a string of up to 63 letters, digits, '-', '_' and '.'",
		valid:    func(value string) bool { return len(content.IsLabelValue(value)) == 0 },
	}

	operator = oneOf(nearestOperator, string(metav1.LabelSelectorOpIn), string(metav1.LabelSelectorOpNotIn),
		string(metav1.LabelSelectorOpExists), string(metav1.LabelSelectorOpDoesNotExist))
	tolerationOperator = optional(oneOf(nil, string(corev1.TolerationOpEqual), string(corev1.TolerationOpExists),
		string(corev1.TolerationOpLt), string(corev1.TolerationOpGt)))
	taintEffect = optional(oneOf(nil, string(corev1.TaintEffectNoSchedule), string(corev1.TaintEffectPreferNoSchedule),
		string(corev1.TaintEffectNoExecute)))

	cpu = &rule{
		expected: `a number of CPUs in quotes, as in "500m" or "2"`,
		valid: func(value string) bool {
			_, ok := parseQuantity(value)
			return ok
		},
		near: nearestQuantity,
	}
	byteCount = &rule{
		expected: `a whole number of bytes in quotes, as in "512Mi"`,
		valid:    isByteCount,
		near:     nearestByteCount,
	}
)

// oneOf is the rule for one of a few words. near may know more than what is spelled alike.
func oneOf(near func(value string) string, words ...string) *rule {
	return &rule{
		expected: problem.Alternatives(words),
		valid:    func(value string) bool { return slices.Contains(words, value) },
		near:     func(value string) string { return cmp.Or(told(near, value), problem.Nearest(value, words)) },
	}
}

// nearestOperator knows how kubectl writes operators.
func nearestOperator(value string) string {
	switch problem.Normalize(value) {
	case "=", "==", "equals":
		return string(metav1.LabelSelectorOpIn)
	case "!=", "notequals":
		return string(metav1.LabelSelectorOpNotIn)
	case "!", "notexist", "notexists":
		return string(metav1.LabelSelectorOpDoesNotExist)
	default:
		return ""
	}
}

// nameOf is the rule for the name of an object that Kubernetes wants to be a DNS subdomain.
func nameOf(what string) *rule {
	valid := func(name string) bool { return len(content.IsDNS1123Subdomain(name)) == 0 }
	return &rule{
		expected: "the name of " + what + ": lower case letters, digits, '-' and '.'",
		valid:    valid,
		near: func(name string) string {
			lower := strings.NewReplacer("_", "-", " ", "-").Replace(strings.ToLower(strings.TrimSpace(name)))
			if !valid(lower) {
				return ""
			}
			return lower
		},
	}
}

// storageClassName is the rule for the name of a storage class. Capitals cannot occur in one, but the sample in Velero's
// documentation has them, and who copied it must not be locked out: they are only pointed at.
func storageClassName() *rule {
	r := nameOf("a storage class")
	strict := r.valid
	r.valid = func(name string) bool { return strict(strings.ToLower(name)) }
	r.doubt = func(name string) string {
		if name == strings.ToLower(name) {
			return ""
		}
		return "no storage class can have this name, because it has capitals"
	}
	return r
}

// optional lets an empty string stand for a setting that is absent, as Velero does.
func optional(r *rule) *rule {
	o := *r
	o.valid = func(value string) bool { return value == "" || r.valid(value) }
	return &o
}

// quantityShape keeps numbers like 1e999999999 away from arithmetic that would write out all their digits, and a point without
// any digit, which Kubernetes takes for zero.
var quantityShape = regexp.MustCompile(`^[-+]?\.?[0-9][0-9.]{0,18}([eE][-+]?[0-9]{1,2}|[A-Za-z]{0,2})$`)

// parseQuantity reads a quantity that is not negative.
func parseQuantity(value string) (resource.Quantity, bool) {
	if !quantityShape.MatchString(value) {
		return resource.Quantity{}, false
	}
	quantity, err := resource.ParseQuantity(value)
	return quantity, err == nil && quantity.Sign() >= 0
}

// isByteCount also refuses fractions: "128m" of memory is valid to Kubernetes and means an eighth of a byte.
func isByteCount(value string) bool {
	quantity, ok := parseQuantity(value)
	if !ok {
		return false
	}
	whole := resource.NewQuantity(quantity.Value(), quantity.Format)
	return quantity.Cmp(*whole) == 0
}

// nearestQuantity mends spaces, a leading minus and units that Kubernetes spells otherwise, as in "2 GB" or "512mi".
func nearestQuantity(value string) string {
	value = strings.TrimPrefix(strings.Join(strings.Fields(value), ""), "-")
	end := strings.LastIndexAny(value, "0123456789") + 1
	number, unit := value[:end], strings.ToLower(value[end:])
	units := map[string]string{
		"k": "k", "kb": "k", "ki": "Ki", "kib": "Ki", "mb": "M", "mi": "Mi", "mib": "Mi",
		"g": "G", "gb": "G", "gi": "Gi", "gib": "Gi", "t": "T", "tb": "T", "ti": "Ti", "tib": "Ti", "": "",
	}
	known, found := units[unit]
	if _, ok := parseQuantity(number + known); !found || !ok {
		return ""
	}
	return number + known
}

func nearestByteCount(value string) string {
	if number, found := strings.CutSuffix(strings.ToLower(value), "m"); found {
		value = number + "Mi"
	}
	if near := nearestQuantity(value); near != "" && isByteCount(near) {
		return near
	}
	return ""
}
