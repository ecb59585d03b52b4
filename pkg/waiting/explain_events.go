package waiting

import (
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// sameTime is how far apart Events may be that complain of the same time. It is longer than the kubelet and the attacher
// wait between two tries, so that what they say in turn does not displace each other.
const sameTime = 3 * time.Minute

// notes are Warning Events of pods that do not say why a pod does not run, or that its status says better.
var notes = []string{"FailedScheduling", "Failed", "BackOff", "DNSConfigForming", "Unhealthy"}

// vague recognises complaints that tell only that something did not happen, or is still being tried.
var vague = regexp.MustCompile(`(?i)timed out waiting for the condition|context deadline exceeded|DeadlineExceeded|` +
	`code = Aborted|operation .* already exists`)

// complaint is the Warning Event that tells best why an object of a kind is not ready: of those of the newest time a
// telling one, and of those the one that came up last. Two that are repeated in turn thus do not take turns here.
func (e Exposed) complaint(kind string) *corev1.Event {
	complains := func(event *corev1.Event) bool {
		return event.InvolvedObject.Kind == kind && event.Type == corev1.EventTypeWarning &&
			(kind != "Pod" || !slices.Contains(notes, event.Reason)) && !e.isSettled(event)
	}
	newest := e.newest(complains)
	var best *corev1.Event
	for i := range e.Events {
		event := &e.Events[i]
		if !complains(event) || lastSeen(newest).Sub(lastSeen(event)) > sameTime {
			continue
		}
		if best == nil || tellsMore(event, best) {
			best = event
		}
	}
	return best
}

// isSettled tells of a complaint about a storage class that is there by now.
func (e Exposed) isSettled(event *corev1.Event) bool {
	return e.StorageClassFound && strings.HasPrefix(event.Message, "storageclass.storage.k8s.io ") &&
		strings.HasSuffix(event.Message, " not found")
}

func tellsMore(a, b *corev1.Event) bool {
	if vague.MatchString(a.Message) != vague.MatchString(b.Message) {
		return vague.MatchString(b.Message)
	}
	return firstSeen(a).After(firstSeen(b))
}

// newest is the Event that was seen last of those that match.
func (e Exposed) newest(matches func(*corev1.Event) bool) *corev1.Event {
	var newest *corev1.Event
	for i := range e.Events {
		event := &e.Events[i]
		if matches(event) && (newest == nil || lastSeen(newest).Before(lastSeen(event))) {
			newest = event
		}
	}
	return newest
}

// isAutoscaler recognises Events in which the cluster autoscaler or Karpenter says what it does about a pod.
func isAutoscaler(event *corev1.Event) bool {
	if event.InvolvedObject.Kind != "Pod" {
		return false
	}
	switch event.Reason {
	case "TriggeredScaleUp", "NotTriggerScaleUp", "Nominated":
		return true
	case "FailedScheduling":
		return event.Source.Component == "karpenter" || event.ReportingController == "karpenter"
	default:
		return false
	}
}

// textOf is the message of an Event, without what client-go puts before that of an Event which stands for many.
func textOf(event *corev1.Event) string {
	return strings.TrimPrefix(oneLine(event.Message), "(combined from similar events): ")
}

func lastSeen(event *corev1.Event) time.Time {
	switch {
	case event.Series != nil:
		return event.Series.LastObservedTime.Time
	case !event.LastTimestamp.IsZero():
		return event.LastTimestamp.Time
	default:
		return firstSeen(event)
	}
}

func firstSeen(event *corev1.Event) time.Time {
	switch {
	case !event.FirstTimestamp.IsZero():
		return event.FirstTimestamp.Time
	case !event.EventTime.IsZero():
		return event.EventTime.Time
	default:
		return event.CreationTimestamp.Time
	}
}
