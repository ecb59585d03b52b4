package live

import (
	"fmt"
	"strings"
)

// action is what Events about the ConfigMap are about, in the form that events.k8s.io asks for.
const action = "Configure"

const (
	// maxNote is what the API server takes as the note of an Event, in bytes.
	maxNote = 1024
	// maxLines bounds what a hopeless ConfigMap writes into the log.
	maxLines = 5
)

// join writes the first lines of a list in one.
func join(lines []string) string {
	if omitted := len(lines) - maxLines; omitted > 0 {
		lines = append(lines[:maxLines:maxLines], fmt.Sprintf("and %d more", omitted))
	}
	return strings.Join(lines, " | ")
}

// brief writes an error of several lines in one.
func brief(err error) string {
	return join(strings.Split(err.Error(), "\n"))
}
