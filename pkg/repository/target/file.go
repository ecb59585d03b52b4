package target

import "os"

// sparseBlock is the least run of zeros, and the alignment of its ends, for which a hole is left. It is the block of
// common file systems.
const sparseBlock = 4096

// SparseFile is a file with holes where nothing is written.
type SparseFile struct{ *os.File }

// WriteData writes data that is not all zeros. With stale, something else may be there.
func (f SparseFile) WriteData(data []byte, offset int64, stale bool) error {
	if stale {
		if err := f.WriteZeros(offset, int64(len(data)), true); err != nil {
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

// WriteZeros has zeros there.
func (f SparseFile) WriteZeros(offset, length int64, stale bool) error {
	if !stale {
		return nil
	}
	err := punch(f.File, offset, length)
	if isRefusal(err) {
		return writeZeros(f, offset, length)
	}
	return err
}

// GrowTo gives a file that ends with a hole its size.
func (f SparseFile) GrowTo(size int64) error {
	if info, err := f.Stat(); err != nil || info.Size() >= size {
		return err
	}
	return f.Truncate(size)
}

// dataRun is how much there is before the next aligned block of zeros; offset is where data begins in its file.
func dataRun(data []byte, offset int64) int {
	return blocks(data, offset, func(block []byte) bool { return len(block) < sparseBlock || !IsZero(block) })
}

// zeroRun is how much there is of aligned blocks of zeros.
func zeroRun(data []byte, offset int64) int {
	return blocks(data, offset, func(block []byte) bool { return len(block) == sparseBlock && IsZero(block) })
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
