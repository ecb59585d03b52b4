package mover

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/node-agent/node-agent/pkg/mover/result"
)

// Stores put signatures and keys into the query, and now and then into the user part, of the URLs that errors repeat.
var (
	urlQuery = regexp.MustCompile(`(\w+://[^\s?"'<>]+)\?[^\s"'<>]*`)
	urlUser  = regexp.MustCompile(`(\w+://)[^\s/@"'<>]+@`)
)

// failureMessage makes the termination message of a mover that ended with err: without secrets, and short enough for
// Kubernetes to keep all of it. It is not empty, since every error of a move says what was being done.
func failureMessage(err error) string {
	message := strings.TrimSpace(strings.ToValidUTF8(err.Error(), "?"))
	message = urlQuery.ReplaceAllString(message, "$1?...")
	message = urlUser.ReplaceAllString(message, "$1...@")
	_, early := errors.AsType[*endingError](err)
	if !early && result.IsCanceled(message) {
		// A failure must not be taken for a cancellation, because of a file's name say.
		message += "."
	}
	return truncate(message, result.MaxLength)
}

// truncate cuts a message of more than limit bytes in its middle: the start says what failed, the end says why.
func truncate(message string, limit int) string {
	if len(message) <= limit {
		return message
	}
	mark := fmt.Sprintf(" ... (%d bytes in all) ... ", len(message))
	half := (limit - len(mark)) / 2
	return strings.ToValidUTF8(message[:half], "") + mark + strings.ToValidUTF8(message[len(message)-half:], "")
}

func writeTerminationMessage(path, message string) error {
	if err := os.WriteFile(path, []byte(message), 0o600); err != nil {
		return fmt.Errorf("write the termination message: %w", err)
	}
	return nil
}
