package engine

import (
	"strings"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/text"
	"github.com/node-agent/node-agent/pkg/waiting"
)

// waitingForAnnotation holds the cause that was announced last, so that no agent, this one or the next, repeats itself.
const waitingForAnnotation = "node-agent.io/waiting-for"

// noLeader is the code of waiting for an agent that leads.
const noLeader = "NoLeader"

// record writes into a DataUpload or DataDownload what it waits for, in a text that holds the reason's. It tells whether that is news,
// worth an Event. What another component says again with other numbers is not even written; our own words are.
func record(transfer v2alpha1.Transfer, reason waiting.Reason, message string) bool {
	cause := reason.Cause()
	known := transfer.GetAnnotations()[waitingForAnnotation] == cause
	if known && reason.Quote != "" && strings.Contains(transfer.TransferStatus().Message, reason.Message) {
		return false
	}
	transfer.TransferStatus().Message = text.Shorten(message, maxMessage)
	SetAnnotation(transfer, waitingForAnnotation, cause)
	return !known
}

// dropReason is for what reaches another phase: what it waits for next is news again.
func dropReason(s *Scope) {
	if s.Object.GetAnnotations()[waitingForAnnotation] == s.read.GetAnnotations()[waitingForAnnotation] {
		delete(s.Object.GetAnnotations(), waitingForAnnotation)
	}
}

// GoOn takes back what was waited for: it has come.
func (e *Engine) GoOn(s *Scope) {
	s.Status().Message = e.InAttempt(s, "")
	delete(s.Object.GetAnnotations(), waitingForAnnotation)
}

// resume takes back that no agent leads: this one does.
func resume(transfer v2alpha1.Transfer) {
	if strings.HasPrefix(transfer.GetAnnotations()[waitingForAnnotation], noLeader+"/") {
		delete(transfer.GetAnnotations(), waitingForAnnotation)
		transfer.TransferStatus().Message = ""
	}
}
