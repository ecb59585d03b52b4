package archive_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/node-agent/node-agent/hack/image/archive"
)

func TestArchive(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "image archive")
}

var created = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func image(architecture string) archive.Image {
	return archive.Image{
		OS: "linux", Architecture: architecture, Created: created,
		Config: archive.Config{Entrypoint: []string{"/program"}, User: "65532"},
		Entries: []archive.Entry{
			{Path: "program", Mode: 0o755, Content: []byte("for " + architecture)},
			{Path: "tmp", Mode: 0o1777},
			{Path: "alias", Mode: 0o777, Link: "program"},
		},
	}
}

func write(name string) (digest string, content []byte) {
	GinkgoHelper()
	var out bytes.Buffer
	digest, err := archive.Write(&out, name, image("amd64"), image("arm64"))
	Expect(err).NotTo(HaveOccurred())
	return digest, out.Bytes()
}

// files are the files of a tar archive by name.
func files(content []byte) map[string][]byte {
	GinkgoHelper()
	found := map[string][]byte{}
	reader := tar.NewReader(bytes.NewReader(content))
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return found
		}
		Expect(err).NotTo(HaveOccurred())
		found[header.Name], err = io.ReadAll(reader)
		Expect(err).NotTo(HaveOccurred())
	}
}

// object is a JSON object in an image.
type object struct {
	Digest, Architecture  string
	Annotations, Platform map[string]string
	Manifests, Layers     []object
	Config                json.RawMessage
	RootFS                struct {
		DiffIDs []string `json:"diff_ids"`
	}
}

func parse(content []byte) object {
	GinkgoHelper()
	var parsed object
	Expect(json.Unmarshal(content, &parsed)).To(Succeed(), "%s", content)
	return parsed
}

var _ = Describe("An image archive", func() {
	It("is the same for the same input", func() {
		digest, content := write("registry.example/program:1")
		again, contentAgain := write("registry.example/program:1")
		Expect(again).To(Equal(digest))
		Expect(contentAgain).To(Equal(content))
	})

	It("names every blob by what it holds", func() {
		_, content := write("program:1")
		for name, blob := range files(content) {
			if digest, found := strings.CutPrefix(name, "blobs/sha256/"); found {
				sum := sha256.Sum256(blob)
				Expect(hex.EncodeToString(sum[:])).To(Equal(digest))
			}
		}
	})

	It("leads from the name to the files of each platform", func() {
		digest, content := write("program:1")
		all := files(content)
		blob := func(digest string) []byte { return all["blobs/"+strings.Replace(digest, ":", "/", 1)] }
		root := parse(all["index.json"]).Manifests
		Expect(root).To(HaveLen(1))
		Expect(root[0].Digest).To(Equal(digest))
		Expect(root[0].Annotations).To(HaveKeyWithValue("io.containerd.image.name", "docker.io/library/program:1"))

		platforms := parse(blob(digest)).Manifests
		Expect(platforms).To(HaveLen(2))
		for _, platform := range platforms {
			manifest := parse(blob(platform.Digest))
			config := parse(blob(parse(manifest.Config).Digest))
			Expect(config.Architecture).To(Equal(platform.Platform["architecture"]))

			zipped, err := gzip.NewReader(bytes.NewReader(blob(manifest.Layers[0].Digest)))
			Expect(err).NotTo(HaveOccurred())
			layer, err := io.ReadAll(zipped)
			Expect(err).NotTo(HaveOccurred())
			sum := sha256.Sum256(layer)
			Expect(config.RootFS.DiffIDs).To(ConsistOf("sha256:" + hex.EncodeToString(sum[:])))
			Expect(files(layer)).To(HaveKeyWithValue("program", []byte("for "+config.Architecture)))
			Expect(files(layer)).To(HaveKey("tmp/"))
		}
	})

	It("is a docker archive of the first platform too", func() {
		_, content := write("program:1")
		all := files(content)
		var images []struct {
			Config   string
			RepoTags []string
			Layers   []string
		}
		Expect(json.Unmarshal(all["manifest.json"], &images)).To(Succeed())
		Expect(images).To(HaveLen(1))
		Expect(images[0].RepoTags).To(ConsistOf("program:1"))
		Expect(parse(all[images[0].Config]).Architecture).To(Equal("amd64"))
		Expect(all).To(HaveKey(images[0].Layers[0]))
	})

	DescribeTable("has a full name for containerd", func(name, full string) {
		_, content := write(name)
		Expect(parse(files(content)["index.json"]).Manifests[0].Annotations).To(HaveKeyWithValue("io.containerd.image.name", full))
	},
		Entry("name only", "program:1", "docker.io/library/program:1"),
		Entry("with an owner", "velero/velero:v1", "docker.io/velero/velero:v1"),
		Entry("with a registry", "registry.example/program:1", "registry.example/program:1"),
		Entry("with a port", "localhost:5000/program:1", "localhost:5000/program:1"),
	)

	It("fails when a file cannot be read", func() {
		broken := image("amd64")
		broken.Entries = []archive.Entry{{Path: "program", Source: "/no/such/file"}}
		_, err := archive.Write(io.Discard, "program:1", broken)
		Expect(err).To(MatchError(ContainSubstring("add program")))
	})
})
