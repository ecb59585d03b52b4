// Package logging sets up logrus, and carries the logs of controller-runtime and klog over to it.
package logging

import (
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/bombsimon/logrusr/v4"
	"github.com/sirupsen/logrus"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
)

// Formats of the log.
const (
	FormatText = "text"
	FormatJSON = "json"
)

// New returns a logger that writes to out. level is one of logrus' levels (panic, fatal, error, warning, info, debug,
// trace), format is FormatText or FormatJSON.
func New(level, format string, out io.Writer) (*logrus.Logger, error) {
	parsed, err := logrus.ParseLevel(level)
	if err != nil {
		return nil, fmt.Errorf("log level %q is unknown, it must be one of %s", level, levelNames())
	}
	log := logrus.New()
	log.SetOutput(out)
	log.SetLevel(parsed)
	switch format {
	case FormatText:
		log.SetFormatter(&logrus.TextFormatter{FullTimestamp: true, TimestampFormat: time.RFC3339Nano})
	case FormatJSON:
		log.SetFormatter(&logrus.JSONFormatter{TimestampFormat: time.RFC3339Nano})
	default:
		return nil, fmt.Errorf("log format %q is unknown, it must be %s or %s", format, FormatText, FormatJSON)
	}
	return log, nil
}

// Bridge makes controller-runtime and klog, and with it client-go, log through log. Their verbosity 0 becomes info, 1
// debug and 2 trace; what is more verbose is dropped.
func Bridge(log logrus.FieldLogger) {
	logger := logrusr.New(log)
	logger = logger.WithSink(quietSink{logger.GetSink()})
	ctrl.SetLogger(logger)
	klog.SetLogger(logger)
}

// KlogFlags returns the flags of klog, such as -v and --vmodule. Parsing them sets klog's verbosity.
func KlogFlags() *flag.FlagSet {
	flags := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(flags)
	return flags
}

func levelNames() string {
	names := make([]string, 0, len(logrus.AllLevels))
	for _, level := range logrus.AllLevels {
		names = append(names, level.String())
	}
	return strings.Join(names, ", ")
}
