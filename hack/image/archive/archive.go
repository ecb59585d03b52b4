// Package archive writes container images into a tar file that is an OCI image layout and a docker archive at once, so
// that `docker load`, `ctr images import`, `kind load image-archive`, skopeo and crane all read it. Neither an engine nor a
// registry is needed, and the same input gives the same bytes.
package archive

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

const (
	mediaIndex    = "application/vnd.oci.image.index.v1+json"
	mediaManifest = "application/vnd.oci.image.manifest.v1+json"
	mediaConfig   = "application/vnd.oci.image.config.v1+json"
	mediaLayer    = "application/vnd.oci.image.layer.v1.tar+gzip"
)

// Image is an image of one platform with a single layer.
type Image struct {
	OS, Architecture string
	Created          time.Time
	Config           Config
	Entries          []Entry
}

// Config is what a container of the image runs with by default.
type Config struct {
	User       string            `json:"User,omitempty"`
	Env        []string          `json:"Env,omitempty"`
	Entrypoint []string          `json:"Entrypoint,omitempty"`
	Labels     map[string]string `json:"Labels,omitempty"`
}

type platform struct {
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
}

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int               `json:"size"`
	Platform    *platform         `json:"platform,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

type index struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Manifests     []descriptor `json:"manifests"`
}

type manifest struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Config        descriptor   `json:"config"`
	Layers        []descriptor `json:"layers"`
}

type imageConfig struct {
	platform
	Created time.Time `json:"created"`
	Config  Config    `json:"config"`
	RootFS  struct {
		Type    string   `json:"type"`
		DiffIDs []string `json:"diff_ids"`
	} `json:"rootfs"`
}

// dockerImage is an element of manifest.json, the table of contents of a docker archive.
type dockerImage struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// Write writes images of one name, one per platform, and returns the digest that the name stands for. A docker archive holds one
// platform only: the first.
func Write(w io.Writer, name string, images ...Image) (string, error) {
	a := &writer{tar: tar.NewWriter(w), written: map[string]bool{}}
	all := index{SchemaVersion: 2, MediaType: mediaIndex}
	var docker []dockerImage
	for i, image := range images {
		described, legacy, err := a.image(image)
		if err != nil {
			return "", fmt.Errorf("write image for %s/%s: %w", image.OS, image.Architecture, err)
		}
		all.Manifests = append(all.Manifests, described)
		if i == 0 {
			legacy.RepoTags = []string{name}
			docker = []dockerImage{legacy}
		}
	}
	root, err := a.json(mediaIndex, all)
	if err != nil {
		return "", err
	}
	root.Annotations = map[string]string{
		"io.containerd.image.name":          fullName(name),
		"org.opencontainers.image.ref.name": name[strings.LastIndex(name, ":")+1:],
	}
	for _, file := range []struct {
		name    string
		content any
	}{
		{"oci-layout", map[string]string{"imageLayoutVersion": "1.0.0"}},
		{"index.json", index{SchemaVersion: 2, MediaType: mediaIndex, Manifests: []descriptor{root}}},
		{"manifest.json", docker},
	} {
		content, err := json.Marshal(file.content)
		if err != nil {
			return "", err
		}
		if err := a.file(file.name, content); err != nil {
			return "", err
		}
	}
	return root.Digest, a.tar.Close()
}

type writer struct {
	tar     *tar.Writer
	written map[string]bool
}

func (a *writer) image(image Image) (descriptor, dockerImage, error) {
	layer, err := newLayer(image.Entries, image.Created)
	if err != nil {
		return descriptor{}, dockerImage{}, err
	}
	config := imageConfig{
		platform: platform{Architecture: image.Architecture, OS: image.OS},
		Created:  image.Created, Config: image.Config,
	}
	config.RootFS.Type, config.RootFS.DiffIDs = "layers", []string{layer.diffID}
	configBlob, err := a.json(mediaConfig, config)
	if err != nil {
		return descriptor{}, dockerImage{}, err
	}
	layerBlob, err := a.blob(mediaLayer, layer.blob)
	if err != nil {
		return descriptor{}, dockerImage{}, err
	}
	described, err := a.json(mediaManifest, manifest{
		SchemaVersion: 2, MediaType: mediaManifest, Config: configBlob, Layers: []descriptor{layerBlob},
	})
	described.Platform = &config.platform
	return described, dockerImage{Config: blobPath(configBlob), Layers: []string{blobPath(layerBlob)}}, err
}

func (a *writer) json(mediaType string, value any) (descriptor, error) {
	content, err := json.Marshal(value)
	if err != nil {
		return descriptor{}, err
	}
	return a.blob(mediaType, content)
}

func (a *writer) blob(mediaType string, content []byte) (descriptor, error) {
	sum := sha256.Sum256(content)
	blob := descriptor{MediaType: mediaType, Digest: "sha256:" + hex.EncodeToString(sum[:]), Size: len(content)}
	return blob, a.file(blobPath(blob), content)
}

func (a *writer) file(name string, content []byte) error {
	if a.written[name] {
		return nil
	}
	a.written[name] = true
	header := &tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(content)), Format: tar.FormatUSTAR}
	if err := a.tar.WriteHeader(header); err != nil {
		return err
	}
	_, err := a.tar.Write(content)
	return err
}

func blobPath(blob descriptor) string {
	return "blobs/" + strings.Replace(blob.Digest, ":", "/", 1)
}

// fullName is the name by which a kubelet looks for an image: with registry and, on Docker Hub, with the library's folder.
func fullName(name string) string {
	first, _, found := strings.Cut(name, "/")
	switch {
	case !found:
		return "docker.io/library/" + name
	case strings.ContainsAny(first, ".:") || first == "localhost":
		return name
	default:
		return "docker.io/" + name
	}
}
