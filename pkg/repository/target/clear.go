package target

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

// ClearFrom has zeros from there to the end, since a device may be larger than what is written to it: what was there before
// would show to whoever extends the file system. Thin storage gives the space back. The error of mayWrite ends it, as does ctx.
func (d Device) ClearFrom(ctx context.Context, offset int64, mayWrite func() error) error {
	end, err := d.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	for offset < end {
		if err := cmp.Or(ctx.Err(), mayWrite()); err != nil {
			return err
		}
		// Up to where pieces are aligned, and behind it in pieces.
		length := min(end-offset, clearedAtOnce)
		if over := offset % clearedAlign; over != 0 {
			length = min(end-offset, clearedAlign-over)
		}
		if err := punch(d.File, offset, length); err != nil {
			// Not all devices can do it, and none with parts of a block.
			if err := d.WriteZeros(offset, length, true); err != nil {
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
