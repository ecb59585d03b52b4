package app

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
	"github.com/node-agent/node-agent/pkg/expose"
	"github.com/node-agent/node-agent/pkg/location"
	"github.com/node-agent/node-agent/pkg/mover"
)

const nodeVariable = "NODE_NAME"

// moverOptions are the flags that all data movers have.
type moverOptions struct {
	volumePath             string
	volumeMode             string
	name                   string
	attempt                int
	resourceTimeout        time.Duration
	cacheLimit             int64
	terminationMessagePath string

	// kind is that of the object called name, nameFlag the flag for it.
	kind, nameFlag string
	// ignored are flags that are accepted for Velero's sake.
	ignored []string
}

func (o *moverOptions) bind(cmd *cobra.Command) *pflag.FlagSet {
	flags := cmd.Flags()
	flags.StringVar(&o.volumePath, "volume-path", "", "mount point of the volume, or its device")
	flags.StringVar(&o.volumeMode, "volume-mode", "", "mode of the volume: Filesystem or Block")
	flags.StringVar(&o.name, o.nameFlag, "", "name of the "+o.kind)
	flags.IntVar(&o.attempt, "attempt", 1, "number of the attempt at the "+o.kind+"; it stops when a later one has begun")
	flags.DurationVar(&o.resourceTimeout, "resource-timeout", 0, "how long it may take to read the storage location")
	flags.Int64Var(&o.cacheLimit, "cache-limit-mb", 0, fmt.Sprintf(
		"how large the caches of the repository may become, in MiB; %d with 0", velerov1.DefaultCacheLimit))
	for _, name := range []string{"volume-path", "volume-mode", o.nameFlag, "resource-timeout"} {
		// It fails for unknown flags only.
		_ = cmd.MarkFlagRequired(name)
	}
	flags.StringVar(&o.terminationMessagePath, "termination-message-path", corev1.TerminationMessagePathDefault,
		"file for the result")
	for _, name := range o.ignored {
		flags.String(name, "", "accepted for Velero's sake")
	}
	return flags
}

func (o *moverOptions) validate() error {
	switch mode := corev1.PersistentVolumeMode(o.volumeMode); {
	case mode != corev1.PersistentVolumeFilesystem && mode != corev1.PersistentVolumeBlock:
		return fmt.Errorf("--volume-mode is %q, it must be %s or %s",
			o.volumeMode, corev1.PersistentVolumeFilesystem, corev1.PersistentVolumeBlock)
	case o.volumePath == "":
		return errors.New("--volume-path is empty")
	case o.name == "":
		return fmt.Errorf("--%s is empty", o.nameFlag)
	case o.attempt < 1:
		return fmt.Errorf("--attempt is %d, it must be 1 or more", o.attempt)
	case o.resourceTimeout <= 0:
		return fmt.Errorf("--resource-timeout is %s, it must be more than 0", o.resourceTimeout)
	case o.cacheLimit < 0 || o.cacheLimit > velerov1.MaxCacheLimit:
		return fmt.Errorf("--cache-limit-mb is %d, it must be from 0 to %d", o.cacheLimit, velerov1.MaxCacheLimit)
	default:
		return nil
	}
}

// run makes what a mover works with, calls move and removes it again. field is how logs call the object.
func (o *moverOptions) run(cmd *cobra.Command, g *globalOptions, field string, move func(mover.Options) error) error {
	if err := o.validate(); err != nil {
		return err
	}
	log := g.log.WithFields(logrus.Fields{
		field:  g.namespace + "/" + o.name,
		"node": os.Getenv(nodeVariable),
	})
	for _, name := range o.ignored {
		if cmd.Flags().Changed(name) {
			log.Debugf("Flag --%s has no effect", name)
		}
	}
	limitMemory(os.DirFS("/"), log)

	config, err := g.restConfig()
	if err != nil {
		return err
	}
	c, err := mover.NewClient(config)
	if err != nil {
		return err
	}
	if dir := os.Getenv(expose.SecretsDirVariable); dir != "" {
		c = location.WithMountedSecrets(c, dir)
	}
	workDir, err := os.MkdirTemp(os.Getenv(expose.ScratchVariable), "data-mover-")
	if err != nil {
		return fmt.Errorf("make a working directory: %w", err)
	}
	defer removeWorkDir(workDir, log)

	return move(mover.Options{
		Namespace:              g.namespace,
		Name:                   o.name,
		Attempt:                o.attempt,
		VolumePath:             o.volumePath,
		VolumeMode:             corev1.PersistentVolumeMode(o.volumeMode),
		ResourceTimeout:        o.resourceTimeout,
		CacheLimit:             o.cacheLimit,
		TerminationMessagePath: o.terminationMessagePath,
		WorkDir:                workDir,
		Client:                 c,
		Clock:                  clock.RealClock{},
		Log:                    log,
	})
}

// removeWorkDir removes what holds credentials.
func removeWorkDir(dir string, log logrus.FieldLogger) {
	if err := os.RemoveAll(dir); err != nil {
		log.WithError(err).Warn("Cannot remove the working directory")
	}
}
