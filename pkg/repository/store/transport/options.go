package transport

import "github.com/kopia/kopia/repo/blob"

// Writable fails for ways of writing a blob that no store over HTTP has here.
func Writable(opts blob.PutOptions) error {
	switch {
	case opts.DoNotRecreate:
		return blob.ErrUnsupportedPutBlobOption
	case !opts.SetModTime.IsZero():
		return blob.ErrSetTimeUnsupported
	default:
		return nil
	}
}
