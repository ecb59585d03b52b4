package app

import (
	"encoding/json"
	"errors"
	goflag "flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/node-agent/node-agent/pkg/logging"
)

const (
	namespaceVariable = "VELERO_NAMESPACE"
	defaultNamespace  = "velero"

	// Requests per second, on average and in bursts, where a command does not say otherwise.
	defaultQPS   = 20
	defaultBurst = 30
)

// globalOptions are the flags that every command takes. namespace and log are set before a command runs.
type globalOptions struct {
	kubeconfig  string
	kubecontext string
	namespace   string
	logLevel    string
	logFormat   string

	log *logrus.Logger
}

func (g *globalOptions) bindFlags(flags *pflag.FlagSet) {
	flags.StringVar(&g.kubeconfig, "kubeconfig", "", "kubeconfig file; without it $KUBECONFIG, ~/.kube/config or the pod's own account")
	flags.StringVar(&g.kubecontext, "kubecontext", "", "context of the kubeconfig file, its current one if empty")
	flags.StringVarP(&g.namespace, "namespace", "n", "", "namespace of Velero; without it $"+namespaceVariable+
		`, "namespace" of ~/.config/velero/config.json, or `+defaultNamespace)
	flags.StringVar(&g.logLevel, "log-level", "info",
		"least severe level that is logged: panic, fatal, error, warning, info, debug or trace")
	flags.StringVar(&g.logFormat, "log-format", logging.FormatText, "format of the log: "+logging.FormatText+" or "+logging.FormatJSON)

	// Velero's DaemonSet and its users pass these. They have no effect here.
	flags.StringArray("features", nil, "accepted for Velero's sake")
	flags.Bool("colorized", true, "accepted for Velero's sake")

	// klog's flags are accepted as Velero accepts them; they would bury the others in the help.
	klogFlags := logging.KlogFlags()
	flags.AddGoFlagSet(klogFlags)
	klogFlags.VisitAll(func(f *goflag.Flag) { flags.Lookup(f.Name).Hidden = true })
}

// complete makes the parsed flags ready for use.
func (g *globalOptions) complete(cmd *cobra.Command, _ []string) error {
	log, err := logging.New(g.logLevel, g.logFormat, cmd.OutOrStdout())
	if err != nil {
		return err
	}
	logging.Bridge(log)
	g.log = log
	if g.namespace == "" {
		g.namespace, err = namespaceFromEnvironment()
	}
	return err
}

// restConfig returns how to reach the API server.
func (g *globalOptions) restConfig() (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = g.kubeconfig
	overrides := &clientcmd.ConfigOverrides{CurrentContext: g.kubecontext}
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("find out how to reach the API server: %w", err)
	}
	config.QPS = defaultQPS
	config.Burst = defaultBurst
	version, _ := buildVersion()
	config.UserAgent = programName + "/" + version
	return config, nil
}

// namespaceFromEnvironment finds the namespace of Velero where no flag names it.
func namespaceFromEnvironment() (string, error) {
	if namespace := os.Getenv(namespaceVariable); namespace != "" {
		return namespace, nil
	}
	home := os.Getenv("HOME")
	if home == "" {
		// As in some containers, and then there is no file in it.
		return defaultNamespace, nil
	}
	file := filepath.Join(home, ".config", "velero", "config.json")
	content, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return defaultNamespace, nil
	}
	if err != nil {
		return "", fmt.Errorf("read the defaults of the velero command: %w", err)
	}
	// The file also holds settings of other types, which do not matter here.
	var defaults struct {
		Namespace string `json:"namespace"`
	}
	if err := json.Unmarshal(content, &defaults); err != nil {
		return "", fmt.Errorf("read the namespace in %s: %w", file, err)
	}
	if defaults.Namespace == "" {
		return defaultNamespace, nil
	}
	return defaults.Namespace, nil
}
