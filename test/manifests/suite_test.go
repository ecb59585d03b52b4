// Package manifests_test holds what is under config against the API types, the file system and a real API server.
package manifests_test

import (
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

const (
	configDir = "../../config"
	namespace = "velero"
)

func TestManifests(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Manifests")
}
