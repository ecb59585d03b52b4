package volume

import (
	"context"

	"github.com/kopia/kopia/fs"
)

// Bytes walks through the volume and returns the size of all files.
func (v *Volume) Bytes(ctx context.Context) (int64, error) {
	var total int64
	err := walk(ctx, v.root, func(e fs.Entry) error {
		if f, ok := e.(*file); ok {
			total += f.Size()
		}
		return nil
	}, func(fs.Entry, error) {})
	return total, err
}

// Unreadable walks through the volume, reads no content, and calls failed for what cannot be opened. The path is relative to the
// root of the volume.
func (v *Volume) Unreadable(ctx context.Context, failed func(path string, err error)) error {
	return walk(ctx, v.root, func(e fs.Entry) error {
		switch e := e.(type) {
		case *file:
			opened, err := e.Open(ctx)
			if err != nil {
				return err
			}
			return opened.Close()
		case *symlink:
			_, err := e.Readlink(ctx)
			return err
		case *errorEntry:
			return e.err
		}
		return nil
	}, func(e fs.Entry, err error) { failed(e.(interface{ path() string }).path(), err) })
}

// walk visits all entries but the root. Failed is called for what visit fails at, and for a directory that cannot be read.
// It ends early only with ctx.
func walk(ctx context.Context, d *directory, visit func(e fs.Entry) error, failed func(e fs.Entry, err error)) error {
	defer d.Close()
	entries, err := d.Iterate(ctx)
	if err != nil {
		failed(d, err)
		return ctx.Err()
	}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		e, err := entries.Next(ctx)
		if err != nil {
			failed(d, err)
			return nil
		}
		if e == nil {
			return nil
		}
		if err := visit(e); err != nil {
			failed(e, err)
		}
		if sub, ok := e.(*directory); ok {
			if err := walk(ctx, sub, visit, failed); err != nil {
				return err
			}
		}
	}
}
