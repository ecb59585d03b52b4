package agent

import (
	"fmt"
	"time"

	"github.com/sirupsen/logrus"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/clustertime"
	"github.com/node-agent/node-agent/pkg/controller/datadownload"
	"github.com/node-agent/node-agent/pkg/controller/dataupload"
	"github.com/node-agent/node-agent/pkg/controller/engine"
	"github.com/node-agent/node-agent/pkg/controller/sweep"
)

// NewSweeper makes a sweeper that needs no leader and no cache: it reads from the API server only.
func NewSweeper(restConfig *rest.Config, namespace string, grace time.Duration, log logrus.FieldLogger) (*sweep.Sweeper, error) {
	scheme, err := newScheme()
	if err != nil {
		return nil, err
	}
	now := clustertime.New(clock.RealClock{})
	restConfig = rest.CopyConfig(restConfig)
	restConfig.Wrap(now.Wrap)
	live, err := client.New(restConfig, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("connecting to the API server: %w", err)
	}
	if err := checkServed(live.RESTMapper()); err != nil {
		return nil, err
	}
	base := engine.Engine{
		Options: engine.Options{Namespace: namespace}, Client: live, Live: live, Clock: now, Log: log,
	}
	return &sweep.Sweeper{
		Namespace: namespace,
		Grace:     grace,
		Reader:    live,
		Live:      live,
		Removers: map[string]sweep.Remover{
			v2alpha1.KindDataUpload: dataupload.New(base), v2alpha1.KindDataDownload: datadownload.New(base),
		},
		Clock: now,
		Log:   log,
	}, nil
}
