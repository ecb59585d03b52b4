package failure

import (
	"errors"
	"fmt"
	"slices"
	"syscall"
)

// TargetError says that something could not be done to the volume that is restored into.
type TargetError struct {
	// Op is what was to be done, as "write".
	Op string

	// Path is relative to the root of the volume, or the path of a device.
	Path string

	// Err is why it could not be done.
	Err error
}

// Error names the path.
func (e *TargetError) Error() string {
	return fmt.Sprintf("%s %s: %s", e.Op, e.Path, Reason(e.Err))
}

// Unwrap returns why it could not be done.
func (e *TargetError) Unwrap() error { return e.Err }

func (e *TargetError) meaning() meaning {
	switch {
	case errors.Is(e, syscall.ENOSPC), errors.Is(e, syscall.EDQUOT):
		return meaning{text: "the volume is full"}
	case errors.Is(e, syscall.EROFS), errors.Is(e, syscall.EACCES), errors.Is(e, syscall.EPERM):
		return meaning{text: "the volume cannot be written"}
	}
	lost := slices.ContainsFunc(networkErrors, func(known error) bool { return errors.Is(e, known) })
	return meaning{retryable: lost}
}
