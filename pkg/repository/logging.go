package repository

import (
	"context"

	"github.com/kopia/kopia/repo/logging"
	"github.com/sirupsen/logrus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/node-agent/node-agent/pkg/repository/failure"
)

// withLog makes Kopia log to logrus for all that is done with the returned context.
func withLog(ctx context.Context, log logrus.FieldLogger) context.Context {
	return logging.WithLogger(ctx, func(module string) logging.Logger {
		return zap.New(&logCore{log: log.WithField("module", module)}).Sugar()
	})
}

// logCore hands entries of zap, which Kopia uses, to logrus.
type logCore struct {
	log *logrus.Entry
}

// Enabled keeps Kopia from formatting one debug line per file that nobody would see.
func (c *logCore) Enabled(level zapcore.Level) bool {
	return c.log.Logger.IsLevelEnabled(logLevel(level))
}

func (c *logCore) With(fields []zapcore.Field) zapcore.Core {
	return &logCore{log: c.log.WithFields(logFields(fields))}
}

func (c *logCore) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(entry.Level) {
		return checked.AddCore(entry, c)
	}
	return checked
}

func (c *logCore) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	c.log.WithFields(logFields(fields)).Log(logLevel(entry.Level), failure.Sanitize(entry.Message))
	return nil
}

func (c *logCore) Sync() error { return nil }

// logLevel demotes: what Kopia calls an error is often retried or reported by us, and its information is detail here.
func logLevel(level zapcore.Level) logrus.Level {
	switch {
	case level >= zapcore.WarnLevel:
		return logrus.WarnLevel
	default:
		return logrus.DebugLevel
	}
}

func logFields(fields []zapcore.Field) logrus.Fields {
	encoder := zapcore.NewMapObjectEncoder()
	for _, field := range fields {
		field.AddTo(encoder)
	}
	result := make(logrus.Fields, len(encoder.Fields))
	for key, value := range encoder.Fields {
		if text, ok := value.(string); ok {
			value = failure.Sanitize(text)
		}
		result[key] = value
	}
	return result
}
