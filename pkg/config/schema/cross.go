package schema

import (
	"fmt"
	"slices"

	"go.yaml.in/yaml/v4"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/node-agent/node-agent/pkg/config/document"
	"github.com/node-agent/node-agent/pkg/config/problem"
)

// checkRequirement checks that values are there if and only if the operator needs some.
func checkRequirement(c *checker, n *yaml.Node, path string) {
	operator, values := document.Get(n, "operator"), document.Get(n, "values")
	if operator == nil || values != nil && document.KindOf(values) != document.List {
		return
	}
	switch metav1.LabelSelectorOperator(operator.Value) {
	case metav1.LabelSelectorOpIn, metav1.LabelSelectorOpNotIn:
		if values == nil || len(values.Content) == 0 {
			c.problem(operator, problem.Problem{
				Path: path, Message: "operator " + operator.Value + " needs values",
				Expected: "at least one in " + problem.Key(path, "values"),
			})
		}
	case metav1.LabelSelectorOpExists, metav1.LabelSelectorOpDoesNotExist:
		if values != nil && len(values.Content) > 0 {
			c.problem(values, problem.Problem{
				Path: problem.Key(path, "values"), Message: "operator " + operator.Value + " takes no values",
				Suggestion: "remove the values, or use In or NotIn",
			})
		}
	}
}

// checkLimits checks that no request exceeds its limit. A limit of "0" is none.
func checkLimits(c *checker, n *yaml.Node, path string) {
	for _, name := range []string{"cpu", "memory", "ephemeralStorage"} {
		request, hasRequest := quantityOf(document.Get(n, name+"Request"))
		limit, hasLimit := quantityOf(document.Get(n, name+"Limit"))
		if hasRequest && hasLimit && !limit.IsZero() && request.Cmp(limit) > 0 {
			c.problem(document.Get(n, name+"Request"), problem.Problem{
				Path: problem.Key(path, name+"Request"), Message: "the request is above the limit",
				Found: problem.Quote(request.String()), Expected: fmt.Sprintf("at most %q, which is the %sLimit", limit.String(), name),
			})
		}
	}
}

func quantityOf(n *yaml.Node) (resource.Quantity, bool) {
	if n == nil || document.KindOf(n) != document.String {
		return resource.Quantity{}, false
	}
	return parseQuantity(n.Value)
}

// checkThresholds refuses the two names of one setting beside each other.
func checkThresholds(c *checker, n *yaml.Node, path string) {
	for key := range document.Members(n) {
		if key.Value == "thresholdInGB" && document.Get(n, "thresholdInGB") != nil && document.Get(n, "residentThresholdInMB") != nil {
			c.problem(key, problem.Problem{
				Path: problem.Key(path, key.Value), Message: "thresholdInGB and residentThresholdInMB are the same setting",
				Suggestion: "remove one of them",
			})
		}
	}
}

// checkAnnotationSize applies the limit that the API server has for all annotations of an object.
func checkAnnotationSize(c *checker, n *yaml.Node, path string) {
	size := 0
	for key, value := range document.Members(n) {
		size += len(key.Value) + len(value.Value)
	}
	if size > validation.TotalAnnotationSizeLimitB {
		c.problem(n, problem.Problem{
			Path: path, Message: "the annotations are too large",
			Found: fmt.Sprintf("%d bytes", size), Expected: fmt.Sprintf("at most %d", validation.TotalAnnotationSizeLimitB),
		})
	}
}

// warnIgnored points at settings of a backupPVC that another one leaves without effect.
func warnIgnored(c *checker, n *yaml.Node, path string) {
	readOnly := document.IsTrue(document.Get(n, "readOnly"))
	for key, value := range document.Members(n) {
		switch at := problem.Key(path, key.Value); {
		case !document.IsTrue(value):
		case key.Value == "spcNoRelabeling" && !readOnly:
			c.warn(key, at, "ignored, because readOnly is not true")
		case key.Value == "readWriteOncePod" && readOnly:
			c.warn(key, at, "ignored, because readOnly is true")
		}
	}
}

// warnWithoutClass points at settings for volumes without a storage class that do not say of which class the backupPVC is.
func warnWithoutClass(c *checker, n *yaml.Node, path string) {
	for key, value := range document.Members(n) {
		if key.Value == "" && document.Get(value, "storageClass") == nil {
			c.warn(key, problem.Key(path, ""), "volumes without a storage class can be backed up only if storageClass is set here")
		}
	}
}

func warnEmptySelector(c *checker, n *yaml.Node, path string) {
	selector := document.Get(n, "nodeSelector")
	if selector != nil && document.KindOf(selector) == document.Object && selectsAll(selector) {
		c.warn(selector, problem.Key(path, "nodeSelector"), "an empty selector matches every node")
	}
}

func selectsAll(selector *yaml.Node) bool {
	labels, expressions := document.Get(selector, "matchLabels"), document.Get(selector, "matchExpressions")
	return (labels == nil || len(labels.Content) == 0) && (expressions == nil || len(expressions.Content) == 0)
}

// warnUnusedAffinity points at rules that can never be chosen, because an earlier one has the same storage class.
func warnUnusedAffinity(c *checker, n *yaml.Node, path string) {
	first := map[string]int{}
	for i, item := range n.Content {
		if document.KindOf(item) != document.Object {
			continue
		}
		class := document.Text(item, "storageClass")
		earlier, found := first[class]
		if !found {
			first[class] = i
			continue
		}
		reason := fmt.Sprintf("never used, because %s is for the same storage class", problem.Index(path, earlier))
		if class == "" {
			reason = fmt.Sprintf("never used, because %s has no storage class either", problem.Index(path, earlier))
		}
		c.warn(item, problem.Index(path, i), reason)
	}
}

// reservedLabels tie a backup pod to its DataUpload and to the other backup pods.
var reservedLabels = []string{"velero.io/data-upload", "velero.io/data-download", "velero.io/exposer-pod-group", "node-agent.io/owner-uid"}

func checkReservedLabels(c *checker, n *yaml.Node, path string) {
	for key := range document.Members(n) {
		if slices.Contains(reservedLabels, key.Value) {
			c.problem(key, problem.Problem{
				Path: problem.Key(path, key.Value), Message: "node-agent sets this label itself", Suggestion: "remove it",
			})
		}
	}
}

// checkToleration checks what the API server checks of the tolerations of a pod.
func checkToleration(c *checker, n *yaml.Node, path string) {
	text := func(key string) string { return document.Text(n, key) }
	exists := text("operator") == string(corev1.TolerationOpExists)
	switch seconds := document.Get(n, "tolerationSeconds"); {
	case text("key") == "" && !exists:
		c.problem(n, problem.Problem{
			Path: path, Message: "a toleration without a key is for all taints", Expected: "operator Exists",
			Suggestion: "give the key of the taint, or operator: Exists",
		})
	case exists && text("value") != "":
		c.problem(document.Get(n, "value"), problem.Problem{
			Path: problem.Key(path, "value"), Message: "operator Exists takes no value", Suggestion: "remove the value, or the operator",
		})
	case seconds != nil && text("effect") != string(corev1.TaintEffectNoExecute):
		c.problem(seconds, problem.Problem{
			Path: problem.Key(path, "tolerationSeconds"), Message: "only effect NoExecute takes tolerationSeconds",
			Suggestion: "remove it, or set effect: NoExecute",
		})
	}
}
