// Package live keeps the configuration that is in force, and follows the ConfigMap that it is from.
package live

import (
	"context"
	"fmt"
	"maps"
	"sync/atomic"

	"github.com/sirupsen/logrus"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/node-agent/node-agent/pkg/config"
	"github.com/node-agent/node-agent/pkg/config/check"
	"github.com/node-agent/node-agent/pkg/config/manifest"
	"github.com/node-agent/node-agent/pkg/config/problem"
	"github.com/node-agent/node-agent/pkg/config/schema"
	"github.com/node-agent/node-agent/pkg/metrics"
	"github.com/node-agent/node-agent/pkg/text"
)

// Configuration is the one in force. A ConfigMap that is wrong or gone leaves the last good one in force.
type Configuration struct {
	// ConfigMap is the one that is followed. Without a name the defaults count for ever.
	ConfigMap client.ObjectKey
	Decoder   schema.Decoder
	Log       logrus.FieldLogger

	current atomic.Pointer[config.Config]

	// The rest is used by the leader only, from one goroutine at a time.
	events events.EventRecorder
	// seen is the ConfigMap whose content was dealt with last, nil if none was or it is gone.
	seen *corev1.ConfigMap
	// missing is set when it was told that the ConfigMap is gone.
	missing bool
	// judged is the configuration of seen if it is in force, else nil, and unfit is what was told last about the storage classes
	// that it names.
	judged *schema.Checked
	unfit  string
	// changes are where those who asked are told.
	changes []chan Change
}

// Change tells that another configuration is in force.
type Change = event.TypedGenericEvent[*config.Config]

// Changes returns where the leader is told of every configuration that comes into force from now on.
func (c *Configuration) Changes() <-chan Change {
	changes := make(chan Change, 1)
	c.changes = append(c.changes, changes)
	return changes
}

// Config returns the configuration in force. It is nil before Load.
func (c *Configuration) Config() *config.Config {
	return c.current.Load()
}

// Load reads the ConfigMap when the program starts, where nothing is in force yet: what is wrong is an error.
func (c *Configuration) Load(ctx context.Context, reader client.Reader) error {
	if c.ConfigMap.Name == "" {
		c.current.Store(config.Default())
		metrics.SetConfigValid(true)
		return nil
	}
	configMap := &corev1.ConfigMap{}
	if err := reader.Get(ctx, c.ConfigMap, configMap); err != nil {
		if apierrors.IsNotFound(err) {
			return fmt.Errorf("configmap %s, named by --node-agent-configmap, does not exist", c.ConfigMap)
		}
		return fmt.Errorf("reading configmap %s, named by --node-agent-configmap: %w", c.ConfigMap, err)
	}
	checked := manifest.CheckConfigMap(c.Decoder, configMap)
	if err := checked.Err(); err != nil {
		return err
	}
	c.store(checked, configMap)
	return nil
}

// Lead takes over what has changed since Load, which may be long ago, and tells from now on about the ConfigMap.
func (c *Configuration) Lead(ctx context.Context, reader client.Reader, recorder events.EventRecorder) error {
	c.events = recorder
	if c.ConfigMap.Name == "" {
		return nil
	}
	return c.refresh(ctx, reader)
}

// refresh deals with the ConfigMap as it is now.
func (c *Configuration) refresh(ctx context.Context, reader client.Reader) error {
	configMap := &corev1.ConfigMap{}
	err := reader.Get(ctx, c.ConfigMap, configMap)
	switch {
	case apierrors.IsNotFound(err):
		c.gone()
	case err != nil:
		return fmt.Errorf("reading configmap %s: %w", c.ConfigMap, err)
	case c.seen == nil || !sameContent(c.seen, configMap):
		c.apply(configMap)
	}
	return nil
}

func sameContent(a, b *corev1.ConfigMap) bool {
	return maps.Equal(a.Data, b.Data) && maps.EqualFunc(a.BinaryData, b.BinaryData, func(x, y []byte) bool {
		return string(x) == string(y)
	})
}

// apply puts the content of the ConfigMap in force if it is good.
func (c *Configuration) apply(configMap *corev1.ConfigMap) {
	c.seen, c.missing = configMap, false
	c.judged, c.unfit = nil, ""
	checked := manifest.CheckConfigMap(c.Decoder, configMap)
	if err := checked.Err(); err != nil {
		metrics.SetConfigValid(false)
		c.warn(configMap, "InvalidConfiguration", "the last good configuration stays in force: "+brief(err))
		return
	}
	c.store(checked, configMap)
	c.judged = checked
	for _, changes := range c.changes {
		select {
		case changes <- Change{Object: checked.Config}:
		default: // it is about to hear of an earlier one and will see this one
		}
	}
	c.logger().WithField("resourceVersion", configMap.ResourceVersion).Info("configuration is in force")
	c.events.Eventf(configMap, nil, corev1.EventTypeNormal, "ConfigurationInForce", action,
		"in force for DataUploads and DataDownloads that are accepted from now on")
	for _, warning := range problem.Lines(checked.Source, checked.Warnings) {
		c.logger().Warn(warning)
	}
	if unknown := problem.Lines(checked.Source, checked.UnknownKeys); len(unknown) > 0 {
		c.event(configMap, "UnknownKeys", join(unknown))
	}
}

// gone tells once that the ConfigMap is not there.
func (c *Configuration) gone() {
	if c.missing {
		return
	}
	last := c.seen
	if last == nil {
		last = &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: c.ConfigMap.Namespace, Name: c.ConfigMap.Name}}
	}
	c.seen, c.missing, c.judged = nil, true, nil
	metrics.SetConfigValid(false)
	c.warn(last, "ConfigMapDeleted", "the ConfigMap does not exist any more: the last good configuration stays in force, "+
		"but an agent that is restarted needs the ConfigMap")
}

// judgeClasses tells when a storage class that the configuration names does not exist or does not fit, and when all do again.
func (c *Configuration) judgeClasses(ctx context.Context, reader client.Reader) error {
	if c.judged == nil {
		return nil
	}
	var classes storagev1.StorageClassList
	if err := reader.List(ctx, &classes); err != nil {
		return fmt.Errorf("listing the storage classes: %w", err)
	}
	unfit := join(problem.Lines(c.judged.Source, check.Classes(c.judged, classes.Items)))
	if unfit == c.unfit {
		return nil
	}
	c.unfit = unfit
	if unfit != "" {
		c.warn(c.seen, "StorageClassesUnfit", unfit)
		return nil
	}
	c.logger().Info("the storage classes that the configuration names exist and fit")
	c.events.Eventf(c.seen, nil, corev1.EventTypeNormal, "StorageClassesFit", action, "the storage classes that it names exist and fit")
	return nil
}

func (c *Configuration) store(checked *schema.Checked, configMap *corev1.ConfigMap) {
	c.current.Store(checked.Config)
	metrics.SetConfigValid(true)
	metrics.SetConfigApplied(configMap.Data, len(checked.UnknownKeys))
}

// warn tells about the ConfigMap in the log and on the ConfigMap.
func (c *Configuration) warn(configMap *corev1.ConfigMap, reason, message string) {
	c.logger().WithField("reason", reason).Warn(message)
	c.event(configMap, reason, message)
}

func (c *Configuration) event(configMap *corev1.ConfigMap, reason, message string) {
	c.events.Eventf(configMap, nil, corev1.EventTypeWarning, reason, action, "%s", text.Shorten(message, maxNote))
}

func (c *Configuration) logger() logrus.FieldLogger {
	return c.Log.WithField("configMap", c.ConfigMap.String())
}
