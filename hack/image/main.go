// Command image builds the container image of node-agent as an archive, without a container engine. It holds what the image of
// the Dockerfile holds.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/node-agent/node-agent/hack/image/archive"
)

type options struct {
	name, output, platforms, certificates, ldflags, version, commit string
	// created is in seconds since 1970: the time of the commit, so that a build can be repeated.
	created int64
}

func main() {
	var o options
	flag.StringVar(&o.name, "name", "node-agent:dev", "name of the image")
	flag.StringVar(&o.output, "output", "bin/node-agent-image.tar", "file to write")
	flag.StringVar(&o.platforms, "platforms", "linux/amd64,linux/arm64", "platforms, the one for docker archives first")
	flag.StringVar(&o.certificates, "certificates", "/etc/ssl/certs/ca-certificates.crt", "CA certificates to include")
	flag.StringVar(&o.ldflags, "ldflags", "", "flags for the linker")
	flag.StringVar(&o.version, "version", "unknown", "version to label the image with")
	flag.StringVar(&o.commit, "commit", "unknown", "commit to label the image with")
	flag.Int64Var(&o.created, "created", 0, "time of all files, in seconds since 1970")
	flag.Parse()
	if err := o.run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func (o options) run(ctx context.Context) error {
	work, err := os.MkdirTemp("", "node-agent-image-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)

	var images []archive.Image
	for platform := range strings.SplitSeq(o.platforms, ",") {
		goos, goarch, _ := strings.Cut(platform, "/")
		binary := filepath.Join(work, goos+"-"+goarch)
		if err := o.build(ctx, goos, goarch, binary); err != nil {
			return fmt.Errorf("build for %s: %w", platform, err)
		}
		images = append(images, o.image(goos, goarch, binary))
	}
	// Nobody finds half an archive: it gets its name when it is complete.
	unfinished := o.output + ".part"
	file, err := os.Create(unfinished)
	if err != nil {
		return err
	}
	digest, err := o.write(file, images)
	if err != nil {
		return err
	}
	if err := os.Rename(unfinished, o.output); err != nil {
		return err
	}
	fmt.Printf("%s  %s  %s\n", o.output, o.name, digest)
	return nil
}

func (o options) write(file io.WriteCloser, images []archive.Image) (string, error) {
	digest, err := archive.Write(file, o.name, images...)
	if err != nil {
		file.Close() //nolint:errcheck // the first error counts
		return "", err
	}
	return digest, file.Close()
}

func (o options) build(ctx context.Context, goos, goarch, binary string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", o.ldflags, "-o", binary, "./cmd/node-agent")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+goos, "GOARCH="+goarch)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	return cmd.Run()
}

func (o options) image(goos, goarch, binary string) archive.Image {
	return archive.Image{
		OS: goos, Architecture: goarch, Created: time.Unix(o.created, 0).UTC(),
		Config: archive.Config{
			User:       "65532:65532",
			Env:        []string{"HOME=/tmp"},
			Entrypoint: []string{"/node-agent"},
			Labels: map[string]string{
				"org.opencontainers.image.title":       "node-agent",
				"org.opencontainers.image.description": "Moves CSI volume snapshots of Velero backups into a Kopia repository",
				"org.opencontainers.image.source":      "https://github.com/node-agent/node-agent",
				"org.opencontainers.image.licenses":    "Apache-2.0",
				"org.opencontainers.image.version":     o.version,
				"org.opencontainers.image.revision":    o.commit,
			},
		},
		Entries: []archive.Entry{
			{Path: "etc", Mode: 0o755},
			{Path: "etc/group", Mode: 0o644, Content: []byte("root:x:0:\nnonroot:x:65532:\n")},
			{Path: "etc/passwd", Mode: 0o644, Content: []byte("root:x:0:0::/tmp:/none\nnonroot:x:65532:65532::/tmp:/none\n")},
			{Path: "etc/ssl", Mode: 0o755},
			{Path: "etc/ssl/certs", Mode: 0o755},
			{Path: "etc/ssl/certs/ca-certificates.crt", Mode: 0o644, Source: o.certificates},
			{Path: "node-agent", Mode: 0o755, Source: binary},
			{Path: "tmp", Mode: 0o1777},
			{Path: "velero", Mode: 0o777, Link: "node-agent"},
		},
	}
}
