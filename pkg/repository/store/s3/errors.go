package s3

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	smithy "github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/kopia/kopia/repo/blob"

	"github.com/node-agent/node-agent/pkg/repository/failure"
)

// explained puts an error of the client into the words of the server, or of the network. It returns nil for nil.
func explained(err error) error {
	if answer, ok := errors.AsType[smithy.APIError](err); ok {
		text := answer.ErrorCode()
		if message := answer.ErrorMessage(); message != "" && message != text {
			text += ": " + message
		}
		return failure.Short(text, err)
	}
	if network, ok := errors.AsType[*url.Error](err); ok {
		return failure.Short(network.Error(), err)
	}
	return err
}

// expired are the codes for keys that were valid once. Repeating the request does not help: it would have been signed with
// new ones if there were any.
var expired = []string{"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"}

// asBlobError tells Kopia what an answer about one object means.
func asBlobError(err error) error {
	if err == nil {
		return nil
	}
	if answer, ok := errors.AsType[smithy.APIError](err); ok && slices.Contains(expired, answer.ErrorCode()) {
		return fmt.Errorf("%w: %w", blob.ErrInvalidCredentials, explained(err))
	}
	if answer, ok := errors.AsType[smithy.APIError](err); ok && answer.ErrorCode() == "NoSuchBucket" {
		return explained(err)
	}
	if answer, ok := errors.AsType[*smithyhttp.ResponseError](err); ok {
		switch answer.HTTPStatusCode() {
		case http.StatusNotFound:
			return blob.ErrBlobNotFound
		case http.StatusRequestedRangeNotSatisfiable:
			return blob.ErrInvalidRange
		}
	}
	return explained(err)
}
