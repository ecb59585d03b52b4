package location

import (
	"fmt"
	"os"
	"path/filepath"
)

const privateDirMode = 0o700

// writePrivate writes a file that only this user can read, and never leaves half of one.
func writePrivate(dir, name string, content []byte) (string, error) {
	if err := os.MkdirAll(dir, privateDirMode); err != nil {
		return "", fmt.Errorf("create directory for credentials: %w", err)
	}
	// A temporary file is made with mode 0600.
	file, err := os.CreateTemp(dir, name+".*")
	if err != nil {
		return "", fmt.Errorf("write credentials: %w", err)
	}
	defer os.Remove(file.Name()) // fails once the file has its final name
	_, err = file.Write(content)
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return "", fmt.Errorf("write credentials: %w", err)
	}
	path := filepath.Join(dir, name)
	if err := os.Rename(file.Name(), path); err != nil {
		return "", fmt.Errorf("write credentials: %w", err)
	}
	return path, nil
}
