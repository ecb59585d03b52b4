package restore

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/node-agent/node-agent/pkg/repository/failure"
)

// sparseBlock is the least run of zeros, and the alignment of its ends, for which a hole is left. It is the block of
// common file systems.
const sparseBlock = 4096

// onTarget makes a failure.TargetError of an error at a path, which is a string or has one.
func onTarget(op string, path any, err error) error {
	if err == nil {
		return nil
	}
	return &failure.TargetError{Op: op, Path: fmt.Sprint(path), Err: err}
}

// writer writes data at its place.
type writer interface {
	// write writes data that is not all zeros. With stale, something else may be there.
	write(data []byte, offset int64, stale bool) error
	// writeZeros has zeros there.
	writeZeros(offset, length int64, stale bool) error
}

// sparseFile is a file with holes where nothing is written.
type sparseFile struct{ *os.File }

func (f sparseFile) write(data []byte, offset int64, stale bool) error {
	if stale {
		if err := f.writeZeros(offset, int64(len(data)), true); err != nil {
			return err
		}
	}
	for start := 0; start < len(data); {
		end := start + dataRun(data[start:], offset+int64(start))
		if end > start {
			if _, err := f.WriteAt(data[start:end], offset+int64(start)); err != nil {
				return err
			}
		}
		start = end + zeroRun(data[end:], offset+int64(end))
	}
	return nil
}

func (f sparseFile) writeZeros(offset, length int64, stale bool) error {
	if !stale {
		return nil
	}
	err := punch(f.File, offset, length)
	if isRefusal(err) {
		return writeZeros(f, offset, length)
	}
	return err
}

// growTo gives a file that ends with a hole its size.
func growTo(file *os.File, size int64) error {
	if info, err := file.Stat(); err != nil || info.Size() >= size {
		return err
	}
	return file.Truncate(size)
}

// device is left alone where it has zeros already, so that thin storage stays thin. Nothing else is known of a new device.
type device struct{ *os.File }

func (d device) write(data []byte, offset int64, _ bool) error {
	_, err := d.WriteAt(data, offset)
	return err
}

func (d device) writeZeros(offset, length int64, _ bool) error {
	found := make([]byte, len(zeroPiece))
	return inPieces(offset, length, func(piece []byte, offset int64) error {
		found = found[:len(piece)]
		if n, err := d.ReadAt(found, offset); (err == nil || errors.Is(err, io.EOF)) && isZero(found[:n]) && n == len(piece) {
			return nil
		}
		_, err := d.WriteAt(piece, offset)
		return err
	})
}

func writeZeros(to io.WriterAt, offset, length int64) error {
	return inPieces(offset, length, func(piece []byte, offset int64) error {
		_, err := to.WriteAt(piece, offset)
		return err
	})
}

// inPieces calls do with zeros for each piece of a range.
func inPieces(offset, length int64, do func(piece []byte, offset int64) error) error {
	for length > 0 {
		piece := zeroPiece[:min(length, int64(len(zeroPiece)))]
		if err := do(piece, offset); err != nil {
			return err
		}
		offset += int64(len(piece))
		length -= int64(len(piece))
	}
	return nil
}

// dataRun is how much there is before the next aligned block of zeros; offset is where data begins in its file.
func dataRun(data []byte, offset int64) int {
	return blocks(data, offset, func(block []byte) bool { return len(block) < sparseBlock || !isZero(block) })
}

// zeroRun is how much there is of aligned blocks of zeros.
func zeroRun(data []byte, offset int64) int {
	return blocks(data, offset, func(block []byte) bool { return len(block) == sparseBlock && isZero(block) })
}

// blocks is the length of those blocks at the start of data that are as wanted.
func blocks(data []byte, offset int64, wanted func([]byte) bool) int {
	for start := 0; start < len(data); {
		end := min(len(data), start+sparseBlock-int((offset+int64(start))%sparseBlock))
		if !wanted(data[start:end]) {
			return start
		}
		start = end
	}
	return len(data)
}
