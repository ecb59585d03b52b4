package logging

import (
	"slices"

	"github.com/go-logr/logr"
)

// noise is what controller-runtime says at info for each kind that it watches, with addresses in memory. It is for debugging.
var noise = []string{"Starting EventSource"}

// quietSink logs noise at debug.
type quietSink struct{ logr.LogSink }

// Info logs a message, noise one level down.
func (q quietSink) Info(level int, message string, keysAndValues ...any) {
	if level == 0 && slices.Contains(noise, message) {
		level = 1
	}
	q.LogSink.Info(level, message, keysAndValues...)
}

// WithValues keeps quiet.
func (q quietSink) WithValues(keysAndValues ...any) logr.LogSink {
	return quietSink{q.LogSink.WithValues(keysAndValues...)}
}

// WithName keeps quiet.
func (q quietSink) WithName(name string) logr.LogSink { return quietSink{q.LogSink.WithName(name)} }
