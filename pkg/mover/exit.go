package mover

import (
	"errors"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/node-agent/node-agent/pkg/mover/result"
	"github.com/node-agent/node-agent/pkg/repository/failure"
)

// ExitError is an error with the exit code of the process that it ends.
type ExitError struct {
	error

	// Code is result.ExitRetryable or 1.
	Code int
}

// Unwrap returns the error alone.
func (e *ExitError) Unwrap() error { return e.error }

func exitError(err error, retryable bool) *ExitError {
	if retryable {
		return &ExitError{error: err, Code: result.ExitRetryable}
	}
	return &ExitError{error: err, Code: 1}
}

// retryable tells whether another attempt may come further. The repository knows about stores and networks.
func retryable(err error) bool {
	if early, ok := errors.AsType[*endingError](err); ok {
		return early.retryable
	}
	if answer, ok := errors.AsType[*apierrors.StatusError](err); ok {
		code := answer.ErrStatus.Code
		return code == http.StatusConflict || code == http.StatusTooManyRequests || code >= http.StatusInternalServerError
	}
	return failure.Retryable(err)
}
