package target

import (
	"bytes"
	"io"
)

// zeroPiece is what zeros are compared with, and written from.
var zeroPiece = make([]byte, 1<<20)

// IsZero tells whether data has nothing but zeros.
func IsZero(data []byte) bool {
	for len(data) > len(zeroPiece) {
		if !bytes.Equal(data[:len(zeroPiece)], zeroPiece) {
			return false
		}
		data = data[len(zeroPiece):]
	}
	return bytes.Equal(data, zeroPiece[:len(data)])
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
