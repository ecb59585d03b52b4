package config

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// checkRequirement checks that values are there if and only if the operator needs some.
func checkRequirement(c *checker, n *node, path string) {
	operator, values := n.get("operator"), n.get("values")
	if operator == nil || values != nil && values.kind != listKind {
		return
	}
	switch metav1.LabelSelectorOperator(operator.text) {
	case metav1.LabelSelectorOpIn, metav1.LabelSelectorOpNotIn:
		if values == nil || len(values.items) == 0 {
			c.problem(operator.position, Problem{
				Path: path, Message: "operator " + operator.text + " needs values", Expected: "at least one in " + joinKey(path, "values"),
			})
		}
	case metav1.LabelSelectorOpExists, metav1.LabelSelectorOpDoesNotExist:
		if values != nil && len(values.items) > 0 {
			c.problem(values.position, Problem{
				Path: joinKey(path, "values"), Message: "operator " + operator.text + " takes no values",
				Suggestion: "remove the values, or use In or NotIn",
			})
		}
	}
}

// checkLimits checks that no request exceeds its limit. A limit of "0" is none.
func checkLimits(c *checker, n *node, path string) {
	for _, name := range []string{"cpu", "memory", "ephemeralStorage"} {
		request, hasRequest := quantityOf(n.get(name + "Request"))
		limit, hasLimit := quantityOf(n.get(name + "Limit"))
		if hasRequest && hasLimit && !limit.IsZero() && request.Cmp(limit) > 0 {
			c.problem(n.get(name+"Request").position, Problem{
				Path: joinKey(path, name+"Request"), Message: "the request is above the limit",
				Found: quote(request.String()), Expected: fmt.Sprintf("at most %q, which is the %sLimit", limit.String(), name),
			})
		}
	}
}

func quantityOf(n *node) (resource.Quantity, bool) {
	if n == nil || n.kind != stringKind {
		return resource.Quantity{}, false
	}
	return parseQuantity(n.text)
}

// checkThresholds refuses the two names of one setting beside each other.
func checkThresholds(c *checker, n *node, path string) {
	for _, m := range n.members {
		if m.key == "thresholdInGB" && n.get("thresholdInGB") != nil && n.get("residentThresholdInMB") != nil {
			c.problem(m.position, Problem{
				Path: joinKey(path, m.key), Message: "thresholdInGB and residentThresholdInMB are the same setting",
				Suggestion: "remove one of them",
			})
		}
	}
}

// checkAnnotationSize applies the limit that the API server has for all annotations of an object.
func checkAnnotationSize(c *checker, n *node, path string) {
	size := 0
	for _, m := range n.members {
		size += len(m.key) + len(m.value.text)
	}
	if size > validation.TotalAnnotationSizeLimitB {
		c.problem(n.position, Problem{
			Path: path, Message: "the annotations are too large",
			Found: fmt.Sprintf("%d bytes", size), Expected: fmt.Sprintf("at most %d", validation.TotalAnnotationSizeLimitB),
		})
	}
}

// warnIgnored points at settings of a backupPVC that another one leaves without effect.
func warnIgnored(c *checker, n *node, path string) {
	readOnly := n.get("readOnly").isTrue()
	for _, m := range n.members {
		switch at := joinKey(path, m.key); {
		case !m.value.isTrue():
		case m.key == "spcNoRelabeling" && !readOnly:
			c.warn(m.position, at, "ignored, because readOnly is not true")
		case m.key == "readWriteOncePod" && readOnly:
			c.warn(m.position, at, "ignored, because readOnly is true")
		}
	}
}

func warnEmptySelector(c *checker, n *node, path string) {
	if selector := n.get("nodeSelector"); selector != nil && selector.kind == objectKind && selectsAll(selector) {
		c.warn(selector.position, joinKey(path, "nodeSelector"), "an empty selector matches every node")
	}
}

func selectsAll(selector *node) bool {
	labels, expressions := selector.get("matchLabels"), selector.get("matchExpressions")
	return (labels == nil || len(labels.members) == 0) && (expressions == nil || len(expressions.items) == 0)
}

// warnUnusedAffinity points at rules that can never be chosen, because an earlier one has the same storage class.
func warnUnusedAffinity(c *checker, n *node, path string) {
	first := map[string]int{}
	for i, item := range n.items {
		if item.kind != objectKind {
			continue
		}
		class := ""
		if value := item.get("storageClass"); value != nil {
			class = value.text
		}
		earlier, found := first[class]
		if !found {
			first[class] = i
			continue
		}
		reason := fmt.Sprintf("never used, because %s is for the same storage class", joinIndex(path, earlier))
		if class == "" {
			reason = fmt.Sprintf("never used, because %s has no storage class either", joinIndex(path, earlier))
		}
		c.warn(item.position, joinIndex(path, i), reason)
	}
}

// reservedLabels tie a backup pod to its DataUpload and to the other backup pods.
var reservedLabels = []string{"velero.io/data-upload", "velero.io/data-download", "velero.io/exposer-pod-group", "node-agent.io/owner-uid"}

func checkReservedLabels(c *checker, n *node, path string) {
	for _, m := range n.members {
		if slices.Contains(reservedLabels, m.key) {
			c.problem(m.position, Problem{
				Path: joinKey(path, m.key), Message: "node-agent sets this label itself", Suggestion: "remove it",
			})
		}
	}
}
