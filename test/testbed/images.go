package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/node-agent/node-agent/hack/image/archive"
)

// image is a container image that is made of programs at hand.
type image struct {
	name string
	// files are programs by their paths in the image.
	files  map[string]string
	config archive.Config
}

func (b *bed) images() []image {
	return []image{
		{
			name: pauseImage, files: map[string]string{"pause": b.path("bin", "pause")},
			config: archive.Config{Entrypoint: []string{"/pause"}, User: "65532"},
		},
		{
			name: b.veleroImage(), files: map[string]string{"velero": "velero"},
			config: archive.Config{Entrypoint: []string{"/velero"}, User: "65532", Env: []string{"HOME=/tmp"}},
		},
		{
			name: b.pluginImage(), files: map[string]string{"plugin": "velero-plugin-for-aws", "cp-plugin": "cp-plugin"},
			config: archive.Config{Entrypoint: []string{"/cp-plugin", "/plugin", "/target/velero-plugin-for-aws"}, User: "65532"},
		},
		workload(b.path("bin", "workload")),
	}
}

// workload is the application that the end-to-end suite backs up.
func workload(program string) image {
	return image{
		name: workloadImage, files: map[string]string{"workload": program}, config: archive.Config{Entrypoint: []string{"/workload"}},
	}
}

func (b *bed) veleroImage() string { return "docker.io/velero/velero:" + b.versions["VELERO"] }

func (b *bed) pluginImage() string {
	return "docker.io/velero/velero-plugin-for-aws:" + b.versions["VELERO_PLUGIN"]
}

func (b *bed) makeImages(ctx context.Context) error {
	for _, image := range b.images() {
		path := b.path("images", filepath.Base(image.name)+".tar")
		if _, err := os.Stat(path); err == nil {
			continue
		}
		if err := image.write(path); err != nil {
			return err
		}
		if err := b.load(ctx, []string{path}); err != nil {
			return err
		}
	}
	return nil
}

func (i image) write(path string) error {
	entries := []archive.Entry{{Path: "tmp", Mode: 0o1777}}
	for target, program := range i.files {
		source, err := exec.LookPath(program)
		if err != nil {
			return err
		}
		entries = append(entries, archive.Entry{Path: target, Mode: 0o755, Source: source})
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = archive.Write(file, i.name, archive.Image{OS: "linux", Architecture: runtime.GOARCH, Config: i.config, Entries: entries})
	return err
}

// load imports image archives into the kubelet's containerd.
func (b *bed) load(ctx context.Context, archives []string) error {
	for _, path := range archives {
		if err := command(ctx, "ctr", "--address", b.containerdSocket(), "--namespace", "k8s.io", "images", "import", path); err != nil {
			return err
		}
	}
	return nil
}
