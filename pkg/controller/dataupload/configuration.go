package dataupload

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/node-agent/node-agent/pkg/config"
)

// configAnnotation holds on a DataUpload the configuration that it was accepted with, as JSON. Whatever is made for it later,
// also after a restart or by another leader, is made with that one: a change of the ConfigMap must not lead to a read-only
// pod on a backupPVC that is not.
const configAnnotation = "node-agent.io/config"

// maxConfigBytes bounds the annotation well below what all annotations of an object may take. Only a configuration with
// huge annotations of its own can be larger; it is not kept then.
const maxConfigBytes = 128 << 10

// configuration returns what is configured for the DataUpload: what was when it was accepted, and before that what is now.
func (r *Reconciler) configuration(s *scope) config.Upload {
	if s.du.Spec.CSISnapshot == nil {
		return config.Upload{}
	}
	kept := s.du.Annotations[configAnnotation]
	if s.phase() != isNew && kept != "" {
		var upload config.Upload
		if err := json.Unmarshal([]byte(kept), &upload); err == nil {
			return upload
		}
		s.log.Warnf("annotation %s cannot be read: going on with the configuration of now", configAnnotation)
	}
	return r.Config().ForUpload(s.du.Spec.CSISnapshot.StorageClass)
}

// keepConfiguration writes the configuration to the DataUpload.
func keepConfiguration(s *scope) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(s.config); err != nil {
		panic(fmt.Sprintf("marshal configuration: %v", err)) // it was unmarshalled from JSON
	}
	if text.Len() > maxConfigBytes {
		delete(s.du.Annotations, configAnnotation)
		return
	}
	if s.du.Annotations == nil {
		s.du.Annotations = map[string]string{}
	}
	s.du.Annotations[configAnnotation] = string(bytes.TrimSpace(text.Bytes()))
}
