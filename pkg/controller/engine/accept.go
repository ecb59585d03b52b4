package engine

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
)

// Accept begins preparing, with the configuration that counts from now on.
func (e *Engine) Accept(s *Scope, configuration any) {
	status := s.Status()
	status.Message = ""
	setLabel(s.Object, v2alpha1.ExposeOnGoingLabel, "true")
	keepConfiguration(s.Object, configuration)
	status.Phase = accepted
	status.AcceptedByNode = e.NodeName
	status.AcceptedTimestamp = &metav1.Time{Time: s.Now}
}
