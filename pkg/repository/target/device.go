package target

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/node-agent/node-agent/pkg/repository/block"
)

// Device is left alone where it has zeros already, so that thin storage stays thin. Nothing else is known of a new device.
type Device struct{ *os.File }

// WriteData writes data.
func (d Device) WriteData(data []byte, offset int64, _ bool) error {
	_, err := d.WriteAt(data, offset)
	return err
}

// WriteZeros has zeros there.
func (d Device) WriteZeros(offset, length int64, _ bool) error {
	found := make([]byte, len(zeroPiece))
	return inPieces(offset, length, func(piece []byte, offset int64) error {
		found = found[:len(piece)]
		if n, err := d.ReadAt(found, offset); (err == nil || errors.Is(err, io.EOF)) && IsZero(found[:n]) && n == len(piece) {
			return nil
		}
		_, err := d.WriteAt(piece, offset)
		return err
	})
}

// OpenDevice opens a device of at least that size, or makes the file that passes for one of that size.
func OpenDevice(path string, size int64) (Device, error) {
	info, err := os.Stat(path)
	if err == nil && info.Mode().Type() == os.ModeDevice {
		if available, err := block.Size(path); err != nil {
			return Device{}, err
		} else if available < size {
			return Device{}, fmt.Errorf("the device has %d bytes, but the snapshot %d", available, size)
		}
		file, err := os.OpenFile(path, os.O_RDWR, 0)
		return Device{file}, err
	}
	if err == nil && !info.Mode().IsRegular() {
		return Device{}, errors.New("it is neither a block device nor a file")
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, newFileMode)
	if err != nil {
		return Device{}, err
	}
	if err := file.Truncate(size); err != nil {
		return Device{}, errors.Join(err, file.Close())
	}
	return Device{file}, nil
}
