package storage_test

import (
	"os"
	"syscall"
)

// blocks is how many blocks of 512 bytes a file takes on disk.
func blocks(path string) (int64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return info.Sys().(*syscall.Stat_t).Blocks, nil
}
