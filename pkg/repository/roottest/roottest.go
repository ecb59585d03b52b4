// Package roottest is for specs that need what only root on Linux has.
package roottest

import (
	"fmt"
	"os"

	. "github.com/onsi/ginkgo/v2"
)

// Require skips a spec unless root runs it.
func Require() {
	GinkgoHelper()
	if os.Geteuid() != 0 {
		Unavailable("it takes root")
	}
}

// Unavailable skips a spec for what this machine lacks. CI lacks nothing: there it fails.
func Unavailable(what string, reasons ...any) {
	GinkgoHelper()
	if len(reasons) > 0 {
		what += ": " + fmt.Sprint(reasons...)
	}
	if os.Getenv("CI") != "" {
		Fail(what)
	}
	Skip(what)
}
