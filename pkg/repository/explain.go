package repository

import (
	"context"
	"errors"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"github.com/kopia/kopia/repo"
	"github.com/kopia/kopia/repo/blob"
	"github.com/minio/minio-go/v7"
)

// maxReasonLength keeps an error short enough for the status of a DataUpload.
const maxReasonLength = 600

// urlQuery finds the query of a URL: signatures and shared access tokens travel there.
var urlQuery = regexp.MustCompile(`(https?://[^\s"'?]*)\?[^\s"']*`)

// sanitize makes one line of a message and takes out what may be secret.
func sanitize(text string) string {
	text = urlQuery.ReplaceAllString(text, "$1")
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > maxReasonLength {
		text = text[:maxReasonLength] + "..."
	}
	return strings.ToValidUTF8(text, "?")
}

// cleanError has a text that may be shown, and unwraps to the error that it speaks of.
type cleanError struct {
	text string
	err  error
}

func (e *cleanError) Error() string { return e.text }
func (e *cleanError) Unwrap() error { return e.err }

// explain puts into words what an error of the store means. It returns nil for nil.
func explain(err error) error {
	if err == nil {
		return nil
	}
	text := sanitize(err.Error())
	if meaning := meaningOf(err); meaning != "" {
		text = meaning + ": " + text
	}
	return &cleanError{text: text, err: err}
}

// meaningOf is empty for an error that speaks for itself.
func meaningOf(err error) string {
	if response, ok := errors.AsType[minio.ErrorResponse](err); ok {
		if meaning := meaningOfS3(response); meaning != "" {
			return meaning
		}
	}
	_, isNet := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, blob.ErrInvalidCredentials):
		return "the store refuses the credentials, which have expired"
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "the store is full"
	case errors.Is(err, syscall.EROFS), errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return "the store refuses access"
	case errors.Is(err, repo.ErrRepositoryUnavailableDueToUpgradeInProgress):
		return "the repository is being upgraded"
	case errors.Is(err, context.DeadlineExceeded):
		return "the store does not answer in time"
	case isNet:
		return "the store cannot be reached"
	}
	return ""
}

func meaningOfS3(response minio.ErrorResponse) string {
	switch {
	case slices.Contains([]string{"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"}, response.Code):
		return "the store refuses the credentials"
	case response.Code == "NoSuchBucket":
		return "the bucket does not exist"
	case response.StatusCode == http.StatusInsufficientStorage, strings.Contains(response.Code, "QuotaExceeded"):
		return "the store is full"
	case response.Code == "AccessDenied", response.StatusCode == http.StatusForbidden:
		return "the store refuses access"
	}
	return ""
}
