package restore

import (
	"cmp"
	"context"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

const (
	// clearedAtOnce bounds what is cleared between two looks at whether to go on, in bytes.
	clearedAtOnce = 256 << 20
	// clearedAlign is a multiple of the blocks of all devices, in bytes.
	clearedAlign = 1 << 20
)

// clearFrom has zeros from there to the end of a device or file, which may be larger than what is written to it: what was
// there before would show to whoever extends the file system. Thin storage gives the space back.
func (t *task) clearFrom(ctx context.Context, file *os.File, offset int64) error {
	end, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	zeros := device{file}
	for offset < end {
		if err := cmp.Or(ctx.Err(), t.mayWrite()); err != nil {
			return err
		}
		// Up to where pieces are aligned, and behind it in pieces.
		length := min(end-offset, clearedAtOnce)
		if over := offset % clearedAlign; over != 0 {
			length = min(end-offset, clearedAlign-over)
		}
		if err := punch(file, offset, length); err != nil {
			// Not all devices can do it, and none with parts of a block.
			if err := zeros.writeZeros(offset, length, true); err != nil {
				return err
			}
		}
		offset += length
	}
	return nil
}

// punch has zeros in a part of a file or device by giving back its space.
func punch(file *os.File, offset, length int64) error {
	return uninterrupted(func() error {
		return unix.Fallocate(int(file.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, offset, length)
	})
}
