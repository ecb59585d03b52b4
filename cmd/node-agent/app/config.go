package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
	"github.com/node-agent/node-agent/pkg/config/check"
	"github.com/node-agent/node-agent/pkg/config/manifest"
	"github.com/node-agent/node-agent/pkg/config/schema"
)

const (
	unknownKeysFlag  = "config-unknown-keys"
	unknownKeysUsage = "what becomes of keys of the ConfigMap that do not exist: an error, or a warning that they are ignored, " +
		"as for a whole section that a newer Velero may have"

	// maxInput is more than any ConfigMap can hold, with room for manifests around it. More is not read.
	maxInput = 16 << 20
)

// configOptions are the flags of the commands about the node-agent ConfigMap.
type configOptions struct {
	global      *globalOptions
	configMap   string
	withCluster bool
	// inPod: this is a pod of the cluster, an agent's presumably.
	inPod       bool
	unknownKeys schema.UnknownKeys
}

// newConfigCommand groups the commands about the node-agent ConfigMap.
func newConfigCommand(g *globalOptions) *cobra.Command {
	group := newGroup("config", "Check and explain the node-agent ConfigMap")
	group.AddCommand(newConfigCheckCommand(g), newConfigExplainCommand(g))
	return group
}

// useConfig does something with a configuration, and with what was read of the cluster if that was asked for.
type useConfig func(cmd *cobra.Command, document *schema.Checked, cluster *check.Cluster) error

// newConfigSubcommand makes a command that takes a configuration from a file, the standard input or the cluster.
func newConfigSubcommand(g *globalOptions, name, short string, use useConfig) *cobra.Command {
	_, outside := rest.InClusterConfig()
	options := &configOptions{global: g, unknownKeys: schema.RefuseUnknownKeys, inPod: outside == nil}
	command := &cobra.Command{
		Use:   name + " [FILE|-|--configmap NAME]",
		Short: short,
		Long: short + ".\n\nFILE, or - for the standard input, holds the configuration as JSON or YAML, or the manifest of\n" +
			"its ConfigMap. With --configmap it is read from the cluster. In the pod of an agent none of them is needed:\n" +
			"there it is the agent's own ConfigMap.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			// The standard output is for the result.
			g.log.SetOutput(cmd.ErrOrStderr())
			document, cluster, err := options.read(cmd.Context(), cmd.InOrStdin(), args)
			if err != nil {
				return err
			}
			return use(cmd, document, cluster)
		},
	}
	flags := command.Flags()
	flags.StringVar(&options.configMap, "configmap", "", "name of a ConfigMap in Velero's namespace")
	flags.BoolVar(&options.withCluster, "cluster", false, "look at the cluster's storage classes, nodes, quotas and the like, too")
	flags.Var(&options.unknownKeys, unknownKeysFlag, unknownKeysUsage)
	return command
}

// read reads the configuration, and the cluster if that is asked for.
func (o *configOptions) read(ctx context.Context, stdin io.Reader, args []string) (*schema.Checked, *check.Cluster, error) {
	isOwn := len(args) == 0 && o.configMap == "" && o.inPod
	if !isOwn && (len(args) == 1) == (o.configMap != "") {
		return nil, nil, errors.New("give either a FILE, - for the standard input, or --configmap NAME")
	}
	var reader client.Reader
	var err error
	if len(args) == 0 || o.withCluster {
		if reader, err = o.connect(); err != nil {
			return nil, nil, err
		}
	}
	if isOwn {
		if o.configMap, err = ownConfigMap(ctx, reader, o.global.namespace); err != nil {
			return nil, nil, err
		}
	}
	document, err := o.document(ctx, reader, stdin, args)
	if err != nil || !o.withCluster {
		return document, nil, err
	}
	cluster, err := check.Read(ctx, reader, o.global.namespace)
	return document, cluster, err
}

func (o *configOptions) document(ctx context.Context, reader client.Reader, stdin io.Reader, args []string) (*schema.Checked, error) {
	decoder := schema.Decoder{UnknownKeys: o.unknownKeys}
	if o.configMap != "" {
		configMap := &corev1.ConfigMap{}
		key := client.ObjectKey{Namespace: o.global.namespace, Name: o.configMap}
		if err := reader.Get(ctx, key, configMap); err != nil {
			return nil, fmt.Errorf("read configmap %s: %w", key, err)
		}
		return manifest.CheckConfigMap(decoder, configMap), nil
	}
	name := args[0]
	if name == "-" {
		text, err := readAll(stdin)
		if err != nil {
			return nil, fmt.Errorf("read the standard input: %w", err)
		}
		return manifest.CheckFile(decoder, "standard input", text), nil
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := readAll(file)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return manifest.CheckFile(decoder, name, text), nil
}

func readAll(from io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(from, maxInput+1))
	if err == nil && len(text) > maxInput {
		return nil, fmt.Errorf("there is more than %d bytes", maxInput)
	}
	return text, err
}

// connect returns a client that sends requests only when it is used.
func (o *configOptions) connect() (client.Reader, error) {
	restConfig, err := o.global.restConfig()
	if err != nil {
		return nil, err
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, snapshotv1.AddToScheme, velerov1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("build the scheme: %w", err)
		}
	}
	reader, err := client.New(restConfig, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("connect to the API server: %w", err)
	}
	return reader, nil
}
