package engine

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
)

// configAnnotation holds the configuration that a DataUpload or DataDownload was accepted with, as JSON. Whatever is made for
// it later, also after a restart or by another leader, is made with that one: a change of the ConfigMap must not lead to a
// read-only pod on a backupPVC that is not.
const configAnnotation = "node-agent.io/config"

// maxConfigBytes bounds the annotation well below what all annotations of an object may take. Only a configuration with
// huge annotations of its own can be larger; it is not kept then.
const maxConfigBytes = 128 << 10

// Configuration returns what is configured for a DataUpload or DataDownload: what was when it was accepted, and before that
// what is now.
func Configuration[T any](s *Scope, now T) T {
	kept := s.Object.GetAnnotations()[configAnnotation]
	if s.Phase() == isNew || kept == "" {
		return now
	}
	var configured T
	if err := json.Unmarshal([]byte(kept), &configured); err != nil {
		s.Log.Warnf("annotation %s cannot be read: going on with the configuration of now", configAnnotation)
		return now
	}
	return configured
}

// keepConfiguration writes the configuration to the DataUpload or DataDownload.
func keepConfiguration(transfer v2alpha1.Transfer, configuration any) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(configuration); err != nil {
		panic(fmt.Sprintf("marshal configuration: %v", err)) // it was unmarshalled from JSON
	}
	if text.Len() > maxConfigBytes {
		delete(transfer.GetAnnotations(), configAnnotation)
		return
	}
	SetAnnotation(transfer, configAnnotation, string(bytes.TrimSpace(text.Bytes())))
}
