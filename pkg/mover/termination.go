package mover

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/node-agent/node-agent/pkg/mover/result"
	"github.com/node-agent/node-agent/pkg/text"
)

// failureMessage makes the termination message of a mover that ended with err: without secrets, and short enough for
// Kubernetes to keep all of it. It is not empty, since every error of a move says what was being done.
func failureMessage(err error) string {
	message := text.WithoutSecrets(strings.TrimSpace(strings.ToValidUTF8(err.Error(), "?")))
	_, early := errors.AsType[*endingError](err)
	if !early && result.IsCanceled(message) {
		// A failure must not be taken for a cancellation, because of a file's name say.
		message += "."
	}
	return text.Shorten(message, result.MaxLength)
}

func writeTerminationMessage(path, message string) error {
	if err := os.WriteFile(path, []byte(message), 0o600); err != nil {
		return fmt.Errorf("write the termination message: %w", err)
	}
	return nil
}
