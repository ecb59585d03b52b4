// Package controlplane starts etcd and kube-apiserver on loopback, with the CRDs that node-agent works on. The programs
// come from the directory that KUBEBUILDER_ASSETS names.
package controlplane

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
)

const (
	// startTimeout is generous: a busy machine with two cores needs about ten seconds.
	startTimeout = 5 * time.Minute
	stopTimeout  = 30 * time.Second

	thisModule     = "github.com/node-agent/node-agent"
	snapshotModule = "github.com/kubernetes-csi/external-snapshotter/client/v8"
)

// ControlPlane is a running API server.
type ControlPlane struct {
	// Config reaches it with all rights.
	Config *rest.Config
	// Kubeconfig is the same as the content of a kubeconfig file.
	Kubeconfig []byte

	environment *envtest.Environment
}

// Option changes how kube-apiserver is started.
type Option func(*envtest.Environment)

// WithoutWatchCache lets every LIST read etcd. Else each waits for some milliseconds, until the watch cache is known to be
// as new as etcd, which adds up in a suite that reads after every step.
func WithoutWatchCache(environment *envtest.Environment) {
	environment.ControlPlane.GetAPIServer().Configure().Set("watch-cache", "false")
}

// Start starts etcd and kube-apiserver and installs the CRDs. It has to be called with the working directory inside the
// module.
func Start(options ...Option) (*ControlPlane, error) {
	crds, err := crdPaths()
	if err != nil {
		return nil, err
	}
	environment := &envtest.Environment{
		CRDDirectoryPaths:        crds,
		ErrorIfCRDPathMissing:    true,
		ControlPlaneStartTimeout: startTimeout,
		ControlPlaneStopTimeout:  stopTimeout,
	}
	// A queue for requests, where nobody competes, is work for nothing.
	environment.ControlPlane.GetAPIServer().Configure().Set("enable-priority-and-fairness", "false")
	for _, option := range options {
		option(environment)
	}
	token, err := allowToken(environment)
	if err != nil {
		return nil, err
	}
	defer os.Remove(token.file) // kube-apiserver has read it, or was not started
	config, err := startThrifty(environment)
	if err != nil {
		// What did start must not be left running.
		_ = environment.Stop()
		return nil, fmt.Errorf("start etcd and kube-apiserver from KUBEBUILDER_ASSETS=%q, which hack/controlplane.sh prints: %w",
			os.Getenv("KUBEBUILDER_ASSETS"), err)
	}
	// Everything in a demo or test happens at once; the client's own limits would only slow it down.
	config = &rest.Config{
		Host: config.Host, TLSClientConfig: rest.TLSClientConfig{CAData: config.CAData}, BearerToken: token.value, QPS: -1,
	}
	return &ControlPlane{Config: config, Kubeconfig: environment.KubeConfig, environment: environment}, nil
}

// token is a password for all rights.
type token struct{ value, file string }

// allowToken lets kube-apiserver know a token. The certificate that envtest makes would be verified anew with each request,
// which is a tenth of all that kube-apiserver does in a suite.
func allowToken(environment *envtest.Environment) (token, error) {
	file, err := os.CreateTemp("", "tokens-*.csv")
	if err != nil {
		return token{}, fmt.Errorf("make a file for the token: %w", err)
	}
	known := token{value: rand.Text(), file: file.Name()}
	_, err = fmt.Fprintf(file, "%s,test,test,system:masters\n", known.value)
	if err := errors.Join(err, file.Close()); err != nil {
		return token{}, fmt.Errorf("write the token: %w", err)
	}
	environment.ControlPlane.GetAPIServer().Configure().Set("token-auth-file", known.file)
	return known, nil
}

// startThrifty lets etcd and kube-apiserver trade memory, which they need little of, for a fifth of their CPU time: they
// collect garbage less often.
func startThrifty(environment *envtest.Environment) (*rest.Config, error) {
	const variable, percent = "GOGC", "400"
	if _, set := os.LookupEnv(variable); !set {
		if err := os.Setenv(variable, percent); err != nil {
			return nil, err
		}
		defer os.Unsetenv(variable) //nolint:errcheck // it was not set before
	}
	return environment.Start()
}

// Stop ends kube-apiserver and etcd and removes their data.
func (c *ControlPlane) Stop() error {
	if err := c.environment.Stop(); err != nil {
		return fmt.Errorf("stop kube-apiserver and etcd: %w", err)
	}
	return nil
}

// Scheme knows all kinds that node-agent works on.
func Scheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		clientgoscheme.AddToScheme, snapshotv1.AddToScheme, velerov1.AddToScheme, v2alpha1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("build scheme: %w", err)
		}
	}
	return scheme, nil
}

// crdPaths are this module's CRDs and those of external-snapshotter, which lie in its module's directory.
func crdPaths() ([]string, error) {
	module, err := ModuleDir()
	if err != nil {
		return nil, err
	}
	snapshots, err := goList(snapshotModule)
	if err != nil {
		return nil, err
	}
	paths := []string{filepath.Join(module, "config", "crd")}
	for _, kind := range []string{"volumesnapshotclasses", "volumesnapshotcontents", "volumesnapshots"} {
		paths = append(paths, filepath.Join(snapshots, "config", "crd", "snapshot.storage.k8s.io_"+kind+".yaml"))
	}
	return paths, nil
}

// ModuleDir is the directory of this module.
func ModuleDir() (string, error) {
	return goList(thisModule)
}

// goList returns the directory of a module.
func goList(module string) (string, error) {
	cmd := exec.CommandContext(context.Background(), "go", "list", "-m", "-f", "{{.Dir}}", module)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("find directory of go module %s: %w", module, err)
	}
	return strings.TrimSpace(string(out)), nil
}
