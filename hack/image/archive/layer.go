package archive

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"time"
)

// Entry is one entry of the root file system: a file if Content or Source is set, a symbolic link if Link is, else a
// directory. Everything belongs to root.
type Entry struct {
	// Path in the image, without a leading slash.
	Path string
	// Mode bits, 0o1777 being the largest.
	Mode int64
	// Content of a file.
	Content []byte
	// Source is the path of a file outside that holds the content.
	Source string
	// Link is the target of a symbolic link.
	Link string
}

// layer is a gzipped tar file and the digest of the tar file inside.
type layer struct {
	blob   []byte
	diffID string
}

func newLayer(entries []Entry, created time.Time) (layer, error) {
	var compressed bytes.Buffer
	// The header of gzip holds no time unless one is set, so the same entries give the same bytes.
	zipped, err := gzip.NewWriterLevel(&compressed, gzip.BestSpeed)
	if err != nil {
		return layer{}, err
	}
	sum := sha256.New()
	archive := tar.NewWriter(io.MultiWriter(zipped, sum))
	for _, entry := range entries {
		if err := entry.write(archive, created); err != nil {
			return layer{}, fmt.Errorf("add %s: %w", entry.Path, err)
		}
	}
	if err := archive.Close(); err != nil {
		return layer{}, err
	}
	if err := zipped.Close(); err != nil {
		return layer{}, err
	}
	return layer{blob: compressed.Bytes(), diffID: "sha256:" + hex.EncodeToString(sum.Sum(nil))}, nil
}

func (e Entry) write(archive *tar.Writer, created time.Time) error {
	header := &tar.Header{Name: e.Path, Mode: e.Mode, ModTime: created, Format: tar.FormatUSTAR}
	content := e.Content
	switch {
	case e.Link != "":
		header.Typeflag, header.Linkname = tar.TypeSymlink, e.Link
	case e.Source != "":
		var err error
		if content, err = os.ReadFile(e.Source); err != nil {
			return err
		}
		header.Typeflag = tar.TypeReg
	case content != nil:
		header.Typeflag = tar.TypeReg
	default:
		header.Typeflag, header.Name = tar.TypeDir, e.Path+"/"
	}
	header.Size = int64(len(content))
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	_, err := archive.Write(content)
	return err
}
