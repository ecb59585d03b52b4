// Package waiting says what a DataUpload or DataDownload waits for, and why that takes long: it finds the cause in the objects
// and Events at hand, with words and a hint for people. It takes values and has no client and no clock.
package waiting

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"unicode"
)

// Reason says what a DataUpload waits for.
type Reason struct {
	// Code is one CamelCase word, used as the reason of Events.
	Code string
	// Message is for people, in our own words.
	Message string
	// Quote is what the component said that knows. It repeats itself with other numbers, times and identifiers.
	Quote string
	// Hint says what to change, where that can be told.
	Hint string
	// Expected marks a wait that is part of a healthy run; it is mentioned only if it lasts.
	Expected bool
}

// Codes of reasons; docs/operations.md explains each.
const (
	WaitingForVolumeSnapshot = "WaitingForVolumeSnapshot"
	VolumeSnapshotError      = "VolumeSnapshotError"
	VolumeSnapshotMissing    = "VolumeSnapshotMissing"
	WaitingForFirstConsumer  = "WaitingForFirstConsumer"
	StorageClassMissing      = "StorageClassMissing"
	ProvisioningFailed       = "ProvisioningFailed"
	ReadOnlyManyUnsupported  = "ReadOnlyManyUnsupported"
	ReadWriteOncePodRefused  = "ReadWriteOncePodRefused"
	WaitingForAutoscaler     = "WaitingForAutoscaler"
	Unschedulable            = "Unschedulable"
	ImagePullFailed          = "ImagePullFailed"
	ContainerNotStarting     = "ContainerNotStarting"
	SELinuxRelabelFailed     = "SELinuxRelabelFailed"
	MountFailed              = "MountFailed"
	QuotaExceeded            = "QuotaExceeded"
	PriorityClassMissing     = "PriorityClassMissing"
	PodSecurityRefused       = "PodSecurityRefused"
	WebhookUnavailable       = "WebhookUnavailable"
	RightsMissing            = "RightsMissing"
	AdmissionRefused         = "AdmissionRefused"
)

// Text is the whole of a reason, on one line.
func (r Reason) Text() string {
	text := r.Message
	if r.Quote != "" {
		text += ": " + oneLine(r.Quote)
	}
	if r.Hint != "" {
		text += "; " + r.Hint
	}
	return text
}

// Cause identifies what is waited for. It stays the same while only numbers change, or what else another component says
// anew at each try, like identifiers, addresses and times.
func (r Reason) Cause() string {
	words := slices.Concat(
		slices.DeleteFunc(wordsOf(r.Message), isNumber),
		slices.DeleteFunc(wordsOf(r.Quote), isVolatile))
	slices.Sort(words) // the scheduler orders its complaints by how many nodes they concern
	sum := fnv.New64a()
	for _, word := range slices.Compact(words) {
		_, _ = sum.Write([]byte(word + "\n")) // a hash takes everything
	}
	return fmt.Sprintf("%s/%016x", r.Code, sum.Sum64())
}

// wordsOf splits a text into words, without the punctuation around them.
func wordsOf(text string) []string {
	words := strings.Fields(text)
	for i := range words {
		words[i] = strings.Trim(words[i], ".,:;()[]{}<>\"'`")
	}
	return words
}

func isNumber(word string) bool {
	return strings.Trim(word, "0123456789") == ""
}

// longName is from how many characters on a word with a digit counts as generated: UUIDs, request IDs, pod names. A
// shorter one like vg1 is a name that somebody gave.
const longName = 12

// isVolatile recognises words that say nothing about the cause: 20s, 0/3, pods=7, 10.0.0.7:4711, pvc-6f1c07d2-....
func isVolatile(word string) bool {
	digit := strings.IndexFunc(word, unicode.IsDigit)
	switch {
	case word == "":
		return true
	case digit < 0:
		return false
	default:
		return digit == 0 || word[digit-1] == '=' || len(word) >= longName
	}
}

// oneLine keeps a message of another component readable in a status column.
func oneLine(message string) string {
	return strings.Join(strings.Fields(message), " ")
}
