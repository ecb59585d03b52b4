package waiting

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/node-agent/node-agent/pkg/expose"
)

var (
	violatedLevel   = regexp.MustCompile(`violates PodSecurity "(\w+):`)
	missingRight    = regexp.MustCompile(`cannot \w+ resource`)
	missingPriority = regexp.MustCompile(`no PriorityClass with name (\S+) was found`)
)

// Refused explains why the API server does not let an object be made, or does not do something else. what is the name of
// that in messages, class is as in Exposed, text is what the API server said.
func Refused(what, class, text string) Reason {
	reason := Reason{Code: AdmissionRefused, Message: what + " is refused", Quote: text}
	level := violatedLevel.FindStringSubmatch(text)
	priority := missingPriority.FindStringSubmatch(text)
	switch {
	case level != nil:
		reason.Code = PodSecurityRefused
		reason.Message += fmt.Sprintf(": the namespace enforces pod security level %s", level[1])
		reason.Hint = "it must be privileged (label pod-security.kubernetes.io/enforce)"
	case strings.Contains(text, "security context constraint"):
		reason.Code = PodSecurityRefused
		reason.Hint = "its service account needs a security context constraint that allows it, such as privileged"
	case priority != nil:
		reason.Code = PriorityClassMissing
		reason.Message += fmt.Sprintf(": priority class %q not found", priority[1])
		reason.Hint = "create it, or correct priorityClassName in the node-agent ConfigMap"
	case strings.Contains(text, "exceeded quota"), strings.Contains(text, "failed quota"):
		reason.Code = QuotaExceeded
	case strings.Contains(text, "failed calling webhook"):
		reason.Code = WebhookUnavailable
	case missingRight.MatchString(text):
		reason.Code = RightsMissing
	}
	if reason.Code == PodSecurityRefused && strings.Contains(text, expose.SPCType) {
		reason.Message += fmt.Sprintf(", which forbids the SELinux type %s that %s asks for",
			expose.SPCType, setting(class, "spcNoRelabeling"))
	}
	return reason
}

// IsRefusal tells whether an error text is that of an admission webhook, which may come with any status code.
func IsRefusal(text string) bool {
	return strings.Contains(text, "admission webhook") || strings.Contains(text, "failed calling webhook")
}
