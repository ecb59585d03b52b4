package moverpod

import (
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

func TestMoverpod(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Moverpod")
}
