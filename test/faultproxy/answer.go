package faultproxy

import (
	"encoding/json"
	"net/http"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// answers are what an API server says in such a case.
var answers = map[Kind]metav1.Status{
	TooManyRequests: {
		Code: http.StatusTooManyRequests, Reason: metav1.StatusReasonTooManyRequests,
		Message: "the server has received too many requests and has asked us to try again later",
	},
	InternalError: {
		Code: http.StatusInternalServerError, Reason: metav1.StatusReasonInternalError,
		Message: "an error on the server (\"etcdserver: leader changed\") has prevented the request from succeeding",
	},
	Conflict: {
		Code: http.StatusConflict, Reason: metav1.StatusReasonConflict,
		Message: "the object has been modified; please apply your changes to the latest version and try again",
	},
}

// answer writes the answer of a kind. A 429 does not say when to try again, as when a webhook or a proxy gives it, because
// clients would repeat the request unseen otherwise.
func answer(w http.ResponseWriter, kind Kind) {
	status := answers[kind]
	status.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}
	status.Status = metav1.StatusFailure
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(int(status.Code))
	_ = json.NewEncoder(w).Encode(status) // The client may be gone.
}
