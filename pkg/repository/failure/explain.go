package failure

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"syscall"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	smithy "github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/kopia/kopia/repo"
	"github.com/kopia/kopia/repo/blob"
	"google.golang.org/api/googleapi"

	"github.com/node-agent/node-agent/pkg/text"
)

// maxReasonLength keeps an error short enough for the status of a DataUpload.
const maxReasonLength = 600

// Sanitize makes one line of a message and takes out what may be secret.
func Sanitize(message string) string {
	line := strings.Join(strings.Fields(strings.ToValidUTF8(message, "?")), " ")
	return text.Shorten(text.WithoutSecrets(line), maxReasonLength)
}

// cleanError has a text that may be shown, and unwraps to the error that it speaks of.
type cleanError struct {
	text string
	err  error
}

func (e *cleanError) Error() string { return e.text }
func (e *cleanError) Unwrap() error { return e.err }

// Explain puts into words what an error of the store means. It returns nil for nil.
func Explain(err error) error {
	if err == nil {
		return nil
	}
	clean := Sanitize(err.Error())
	if meaning := meaningOf(err); meaning.text != "" {
		clean = meaning.text + ": " + clean
	}
	return &cleanError{text: clean, err: err}
}

// Retryable tells whether what failed may succeed another time, or from another node: the network or the store failed and
// not what was asked of them. An error that is not known here is not retryable.
func Retryable(err error) bool {
	return err != nil && meaningOf(err).retryable
}

// meaning is what an error of the store says. Without a text the error speaks for itself.
type meaning struct {
	text      string
	retryable bool
}

// meaningOf decides, for all stores, what an error means.
func meaningOf(err error) meaning {
	if final(err) {
		return meaning{}
	}
	if target, ok := errors.AsType[*TargetError](err); ok {
		return target.meaning()
	}
	if status, code := answerOf(err); status != 0 {
		if meaning := meaningOfAnswer(status, code); meaning.text != "" {
			return meaning
		}
	}
	switch {
	case errors.Is(err, blob.ErrInvalidCredentials):
		return meaning{text: "the store refuses the credentials, which have expired"}
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return meaning{text: "the store is full"}
	case errors.Is(err, syscall.EROFS), errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return meaning{text: "the store refuses access"}
	case isCertificate(err):
		return meaning{text: "the certificate of the store is not trusted"}
	case errors.Is(err, repo.ErrRepositoryUnavailableDueToUpgradeInProgress):
		return meaning{text: "the repository is being upgraded", retryable: true}
	case errors.Is(err, ErrNotShown):
		return meaning{text: "the store is not consistent", retryable: true}
	case errors.Is(err, context.DeadlineExceeded):
		return meaning{text: "the store does not answer in time", retryable: true}
	case isNetwork(err):
		return meaning{text: "the store cannot be reached", retryable: true}
	}
	return meaning{}
}

// final tells the errors of this package: whatever they wrap, they say themselves what is wrong.
func final(err error) bool {
	if _, unreadable := errors.AsType[*EntryError](err); unreadable {
		return true
	}
	if _, differs := errors.AsType[*DifferenceError](err); differs {
		return true
	}
	return slices.ContainsFunc([]error{ErrNotInitialized, ErrWrongPassword, ErrLocationReadOnly, ErrNoSnapshot, ErrIncompleteSnapshot},
		func(known error) bool { return errors.Is(err, known) })
}

// answerOf returns status and error code of an answer of the store, 0 if it gave none.
func answerOf(err error) (status int, code string) {
	if answer, ok := errors.AsType[*smithyhttp.ResponseError](err); ok && answer.HTTPStatusCode() != 0 {
		if named, ok := errors.AsType[smithy.APIError](err); ok {
			code = named.ErrorCode()
		}
		return answer.HTTPStatusCode(), code
	}
	if answer, ok := errors.AsType[*azcore.ResponseError](err); ok {
		return answer.StatusCode, answer.ErrorCode
	}
	if answer, ok := errors.AsType[*googleapi.Error](err); ok {
		return answer.Code, ""
	}
	return 0, ""
}

func meaningOfAnswer(status int, code string) meaning {
	switch {
	case slices.Contains([]string{"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"}, code),
		status == http.StatusUnauthorized:
		return meaning{text: "the store refuses the credentials"}
	case code == "NoSuchBucket", code == "ContainerNotFound":
		return meaning{text: "the bucket does not exist"}
	case status == http.StatusInsufficientStorage, strings.Contains(code, "QuotaExceeded"):
		return meaning{text: "the store is full"}
	case code == "AccessDenied", status == http.StatusForbidden:
		return meaning{text: "the store refuses access"}
	case code == "SlowDown", status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
		return meaning{text: "the store asks to slow down", retryable: true}
	case status == http.StatusRequestTimeout, code == "RequestTimeout":
		return meaning{text: "the store does not answer in time", retryable: true}
	case status >= http.StatusInternalServerError:
		return meaning{text: "the store fails", retryable: true}
	}
	return meaning{}
}

// isCertificate tells a certificate that is wrong, which no retry makes right, from other failures to connect.
func isCertificate(err error) bool {
	_, wrong := errors.AsType[*tls.CertificateVerificationError](err)
	return wrong
}

// networkErrors are what a broken connection ends with, also one to the server of a file system.
var networkErrors = []error{
	io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.ECONNREFUSED, syscall.EPIPE, syscall.ETIMEDOUT, syscall.EHOSTUNREACH,
	syscall.ENETUNREACH, syscall.ESTALE,
}

// isNetwork does not take the number of a system call's error for a net.Error, although it has the methods of one.
func isNetwork(err error) bool {
	if _, ok := errors.AsType[*url.Error](err); ok {
		return true
	}
	if _, ok := errors.AsType[*net.OpError](err); ok {
		return true
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return true
	}
	return slices.ContainsFunc(networkErrors, func(known error) bool { return errors.Is(err, known) })
}
