package restore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"sync"

	"github.com/kopia/kopia/repo"
	"github.com/kopia/kopia/repo/blob"
	"github.com/kopia/kopia/repo/content"
	"github.com/kopia/kopia/repo/object"
	"golang.org/x/crypto/blake2b"

	"github.com/node-agent/node-agent/pkg/repository/store"
	"github.com/node-agent/node-agent/pkg/repository/target"
)

// wholePack is how many small files that are wanted soon must be in one pack for it to be read as a whole. A pack has 20 MiB,
// and takes as long as some requests.
const wholePack = 8

// chunk is a part of a file, of some MiB at most, that is stored under an ID of its own.
type chunk struct {
	id             object.ID
	offset, length int64
}

// chunkReader reads the parts of files, each by itself: Kopia's own readers are sequential.
type chunkReader struct {
	repo.DirectRepository

	// escapedNames says that names of entries are escaped.
	escapedNames bool

	packs *store.Packs
	known recognizer

	mutex sync.Mutex
	zeros map[object.ID]bool // of chunks that hold nothing but zeros
}

func newChunkReader(rep repo.DirectRepository, packs *store.Packs) *chunkReader {
	return &chunkReader{DirectRepository: rep, packs: packs, known: newRecognizer(rep), zeros: map[object.ID]bool{}}
}

// GetContent makes of the repository what Kopia reads objects from.
func (r *chunkReader) GetContent(ctx context.Context, id content.ID) ([]byte, error) {
	return r.ContentReader().GetContent(ctx, id)
}

// list lists the chunks of a file.
func (r *chunkReader) list(ctx context.Context, id object.ID, size int64) ([]chunk, error) {
	index, indirect := id.IndexObjectID()
	if !indirect {
		if size == 0 {
			return nil, nil
		}
		return []chunk{{id: id, length: size}}, nil
	}
	entries, err := object.LoadIndexObject(ctx, r, index)
	if err != nil {
		return nil, err
	}
	result := make([]chunk, len(entries))
	var end int64
	for i, entry := range entries {
		if entry.Start != end {
			return nil, fmt.Errorf("the index of its parts has a gap at byte %d", end)
		}
		result[i] = chunk{id: entry.Object, offset: entry.Start, length: entry.Length}
		end += entry.Length
	}
	if end != size {
		return nil, fmt.Errorf("its parts have %d bytes, but the file %d", end, size)
	}
	return result, nil
}

// read reads a chunk. Nil stands for a chunk of zeros.
func (r *chunkReader) read(ctx context.Context, c chunk) ([]byte, error) {
	if r.zero(c.id) {
		return nil, nil
	}
	data, err := r.readAll(ctx, c.id)
	if err != nil {
		return nil, err
	}
	if int64(len(data)) != c.length {
		return nil, fmt.Errorf("the part at byte %d has %d bytes instead of %d", c.offset, len(data), c.length)
	}
	if target.IsZero(data) {
		r.mutex.Lock()
		defer r.mutex.Unlock()
		r.zeros[c.id] = true
		return nil, nil
	}
	return data, nil
}

func (r *chunkReader) zero(id object.ID) bool {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return r.zeros[id]
}

func (r *chunkReader) readAll(ctx context.Context, id object.ID) ([]byte, error) {
	if content, compressed, direct := id.ContentID(); direct && !compressed {
		return r.GetContent(ctx, content)
	}
	reader, err := object.Open(ctx, r, id)
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	return io.ReadAll(reader)
}

// prefetch reads packs as a whole from which many contents are wanted.
func (r *chunkReader) prefetch(ctx context.Context, wanted map[blob.ID][]content.ID) {
	var packs []blob.ID
	for id, contents := range wanted {
		if len(contents) >= wholePack {
			packs = append(packs, id)
		}
	}
	slices.SortFunc(packs, func(a, b blob.ID) int { return len(wanted[b]) - len(wanted[a]) })
	packs = packs[:min(len(packs), store.MaxCachedPacks-1)]
	if r.packs.CachesMetadata() {
		r.packs.Prefetch(ctx, packs)
		return
	}
	for _, id := range packs {
		r.PrefetchContents(ctx, wanted[id][:1], "blobs")
	}
}

// matches tells whether a file has a chunk already. It reads the file, not the repository.
func (r *chunkReader) matches(file io.ReaderAt, c chunk) bool {
	if r.known.hashes == nil {
		return false
	}
	buffer := make([]byte, c.length)
	if _, err := file.ReadAt(buffer, c.offset); err != nil && !errors.Is(err, io.EOF) {
		return false
	}
	return r.known.is(c.id, buffer)
}

// recognizer tells by its hash what a chunk is: Kopia's IDs are keyed hashes of the data.
type recognizer struct {
	hashes *sync.Pool // nil if the repository uses another hash function than those of Velero
	length int
}

func newRecognizer(rep repo.DirectRepository) recognizer {
	format := rep.ContentReader().ContentFormat()
	lengths := map[string]int{"BLAKE2B-256-128": 16, "BLAKE2B-256": 32}
	length, ok := lengths[format.GetHashFunction()]
	if _, err := blake2b.New256(format.GetHmacSecret()); err != nil || !ok {
		return recognizer{}
	}
	return recognizer{length: length, hashes: &sync.Pool{New: func() any {
		// It fails for keys of a wrong length only.
		keyed, _ := blake2b.New256(format.GetHmacSecret())
		return keyed
	}}}
}

func (r recognizer) is(id object.ID, data []byte) bool {
	content, compressed, direct := id.ContentID()
	keyed, ok := r.hashes.Get().(hash.Hash)
	if !ok || compressed || !direct {
		return false
	}
	defer r.hashes.Put(keyed)
	keyed.Reset()
	keyed.Write(data)
	return bytes.Equal(keyed.Sum(nil)[:r.length], content.Hash())
}
