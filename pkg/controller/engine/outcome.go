package engine

import (
	"fmt"
	"time"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/waiting"
)

// waitError says that a step waits for something that can come without us.
type waitError struct {
	reason waiting.Reason
	// after is when to look again at the latest, if what is waited for is not watched.
	after time.Duration
}

func (e *waitError) Error() string { return e.reason.Text() }

// Wait is for what is watched.
func Wait(reason waiting.Reason) error { return &waitError{reason: reason} }

// Waitf is Wait for a reason of one sentence. The code is one CamelCase word, used as the reason of Events.
func Waitf(code, format string, args ...any) error {
	return Wait(waiting.Reason{Code: code, Message: fmt.Sprintf(format, args...)})
}

// WaitFor is for what is not watched: it looks again after some time.
func WaitFor(after time.Duration, reason waiting.Reason) error {
	return &waitError{reason: reason, after: after}
}

// Again lets what was found be written, and goes on in another pass.
func Again() error { return WaitFor(time.Millisecond, waiting.Reason{}) }

// endError says that a DataUpload or DataDownload has come to its end. Nothing but clean-up follows.
type endError struct {
	phase   v2alpha1.Phase
	message string
}

func (e *endError) Error() string { return e.message }

// End ends it in a terminal phase.
func End(phase v2alpha1.Phase, message string) error {
	return &endError{phase: phase, message: message}
}

// Failf ends it as Failed: what is wrong cannot heal.
func Failf(format string, args ...any) error { return End(failed, fmt.Sprintf(format, args...)) }
