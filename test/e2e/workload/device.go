package main

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
)

const (
	// deviceData is written at the beginning of a device and deviceGap bytes behind it; what is between is zeros.
	deviceData = 8 << 20
	deviceGap  = 32 << 20
)

// device fills a device that holds zeros, and prints its size and what is on it.
func (o options) device(out io.Writer, path string) (err error) {
	device, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, device.Close()) }()
	first := make([]byte, 1)
	if _, err := device.ReadAt(first, 0); err != nil {
		return err
	}
	if first[0] == 0 {
		if err := fillDevice(device); err != nil {
			return err
		}
	}
	if _, err := device.Seek(0, io.SeekStart); err != nil {
		return err
	}
	sum := sha256.New()
	size, err := io.Copy(sum, device)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "device %d %x\n", size, sum.Sum(nil))
	return err
}

func fillDevice(device *os.File) error {
	content := make([]byte, deviceData)
	if _, err := rand.Read(content); err != nil {
		return err
	}
	content[0] = 1 // It says that the device is full.
	for _, offset := range []int64{0, deviceData + deviceGap} {
		if _, err := device.WriteAt(content, offset); err != nil {
			return err
		}
	}
	return device.Sync()
}
