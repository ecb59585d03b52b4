package main

import (
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/template"
)

const (
	state = "/var/lib/node-agent-testbed"

	bridge     = "na-testbed"
	bridgeMAC  = "0a:58:0a:61:d3:01"
	apiAddress = "10.97.211.1"
	services   = "10.97.211.0/24"
	podSubnet  = "10.97.212.0/24"
	gateway    = "10.97.212.1/24"
	s3Port     = "9000"

	node       = "testbed"
	csiDriver  = "hostpath.csi.k8s.io"
	pauseImage = "testbed.local/pause:1"
	// workloadImage is the application that the end-to-end suite backs up.
	workloadImage = "testbed.local/workload:1"
)

//go:embed files versions.env
var files embed.FS

// bed is the testbed. Everything it knows is in its folder, so each command starts from there.
type bed struct {
	versions map[string]string
	token    string
}

func newBed() (*bed, error) {
	b := &bed{versions: map[string]string{}}
	content, err := files.ReadFile("versions.env")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(content)) {
		if name, version, found := strings.Cut(strings.TrimSpace(line), "="); found {
			b.versions[name] = version
		}
	}
	return b, nil
}

func (*bed) path(names ...string) string {
	return filepath.Join(append([]string{state}, names...)...)
}

func (b *bed) containerdSocket() string { return b.path("containerd", "containerd.sock") }

// prepare makes folders, configuration files and the network. It can be repeated.
func (b *bed) prepare(ctx context.Context) error {
	for _, folder := range []string{
		"run", "logs", "pki", "bin", "etcd", "csi", "s3/velero", "cni", "containerd",
		"kubelet/plugins/csi-hostpath", "kubelet/plugins_registry", "kubelet/pods",
	} {
		if err := os.MkdirAll(b.path(folder), 0o755); err != nil { //nolint:gosec // containers of any user walk through them
			return err
		}
	}
	if err := b.readToken(); err != nil {
		return err
	}
	if err := b.writeFiles(); err != nil {
		return err
	}
	if err := b.linkPrograms(); err != nil {
		return err
	}
	if err := shareMounts(b.path("kubelet")); err != nil {
		return err
	}
	return b.prepareNetwork(ctx)
}

// readToken reads the administrator's token, and invents one the first time.
func (b *bed) readToken() error {
	path := b.path("pki", "token")
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		content = []byte(rand.Text())
		err = os.WriteFile(path, content, 0o600)
	}
	b.token = string(content)
	return err
}

func (b *bed) writeFiles() error {
	templates, err := template.ParseFS(files, "files/*")
	if err != nil {
		return err
	}
	values := map[string]string{
		"State": state, "Containerd": b.containerdSocket(), "PauseImage": pauseImage, "Bridge": bridge, "PodSubnet": podSubnet,
		"Address": apiAddress, "Token": b.token,
	}
	for name, target := range map[string]string{
		"containerd.toml": "containerd/config.toml", "bridge.conflist": "cni/10-bridge.conflist", "kubelet.yaml": "kubelet.yaml",
		"kubeconfig.yaml": "kubeconfig", "storage.yaml": "storage.yaml", "velero.yaml": "velero.yaml",
	} {
		var text strings.Builder
		if err := templates.ExecuteTemplate(&text, name, values); err != nil {
			return err
		}
		if err := os.WriteFile(b.path(target), []byte(text.String()), 0o600); err != nil {
			return err
		}
	}
	for target, content := range map[string]string{
		"resolv.conf": "",
		"pki/tokens":  b.token + ",admin,admin,system:masters\n",
		"credentials": "[default]\naws_access_key_id=testbed\naws_secret_access_key=testbed-secret\n",
	} {
		if err := os.WriteFile(b.path(target), []byte(content), 0o600); err != nil {
			return err
		}
	}
	return b.writeServiceAccountKey()
}

// linkPrograms puts what a person or a test types into one folder.
func (b *bed) linkPrograms() error {
	for _, name := range []string{"kubectl", "velero"} {
		target, err := exec.LookPath(name)
		if err != nil {
			return err
		}
		if target == b.path("bin", name) {
			continue
		}
		link := b.path("bin", name)
		if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := os.Symlink(target, link); err != nil {
			return err
		}
	}
	return nil
}

// command runs a program to its end; its output is part of the error.
func command(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, output)
	}
	return nil
}

func (b *bed) kubectl(ctx context.Context, args ...string) error {
	return command(ctx, "kubectl", append([]string{"--kubeconfig", b.path("kubeconfig")}, args...)...)
}
