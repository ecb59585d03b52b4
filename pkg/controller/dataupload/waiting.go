package dataupload

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/expose"
)

// waitingForAnnotation holds the cause that was announced last, so that no agent, this one or the next, repeats itself.
const waitingForAnnotation = "node-agent.io/waiting-for"

// noLeader is the code of waiting for an agent that leads.
const noLeader = "NoLeader"

// record writes into a DataUpload what it waits for, in a text that holds the reason's. It tells whether that is news,
// worth an Event. What another component says again with other numbers is not even written; our own words are.
func record(du *v2alpha1.DataUpload, reason expose.Reason, text string) bool {
	cause := reason.Cause()
	known := du.Annotations[waitingForAnnotation] == cause
	if known && reason.Quote != "" && strings.Contains(du.Status.Message, reason.Message) {
		return false
	}
	du.Status.Message = truncate(text)
	metav1.SetMetaDataAnnotation(&du.ObjectMeta, waitingForAnnotation, cause)
	return !known
}

// forgetOld is for a DataUpload that reaches another phase: what it waits for next is news again.
func forgetOld(s *scope) {
	if s.du.Annotations[waitingForAnnotation] == s.read.Annotations[waitingForAnnotation] {
		delete(s.du.Annotations, waitingForAnnotation)
	}
}

// resume takes back that no agent leads: this one does.
func resume(du *v2alpha1.DataUpload) {
	if strings.HasPrefix(du.Annotations[waitingForAnnotation], noLeader+"/") {
		delete(du.Annotations, waitingForAnnotation)
		du.Status.Message = ""
	}
}
