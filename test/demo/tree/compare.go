package tree

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// Counts tells what a comparison has looked at.
type Counts struct {
	Files, Directories, Links int
	// Bytes of regular files.
	Bytes int64
}

// Compare compares two directories, themselves included: every byte, mode, owner, modification time and link target. It
// returns what it has seen in the first one and one line for each difference.
func Compare(expected, actual string) (Counts, []string, error) {
	var counts Counts
	want, err := entries(expected)
	if err != nil {
		return counts, nil, err
	}
	got, err := entries(actual)
	if err != nil {
		return counts, nil, err
	}
	var differences []string
	for _, name := range slices.Sorted(maps.Keys(want)) {
		counts.add(want[name])
		if got[name] == nil {
			differences = append(differences, name+": missing")
			continue
		}
		found, err := compareEntry(filepath.Join(expected, name), filepath.Join(actual, name), want[name], got[name])
		if err != nil {
			return counts, nil, fmt.Errorf("compare %s: %w", name, err)
		}
		for _, difference := range found {
			differences = append(differences, name+": "+difference)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if want[name] == nil {
			differences = append(differences, name+": not expected")
		}
	}
	return counts, differences, nil
}

func (c *Counts) add(info fs.FileInfo) {
	switch info.Mode().Type() {
	case fs.ModeDir:
		c.Directories++
	case fs.ModeSymlink:
		c.Links++
	default:
		c.Files++
		c.Bytes += info.Size()
	}
}

func entries(root string) (map[string]fs.FileInfo, error) {
	found := map[string]fs.FileInfo{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		found[name], err = entry.Info()
		return err
	})
	return found, err
}

func compareEntry(wantPath, gotPath string, want, got fs.FileInfo) ([]string, error) {
	if want.Mode().Type() != got.Mode().Type() {
		return []string{fmt.Sprintf("is %s, not %s", got.Mode(), want.Mode())}, nil
	}
	var differences []string
	differ := func(what string, want, got any) {
		if want != got {
			differences = append(differences, fmt.Sprintf("%s is %v, not %v", what, got, want))
		}
	}
	differ("owner", owner(want), owner(got))
	isLink := want.Mode()&fs.ModeSymlink != 0
	differ("time", want.ModTime().UTC().Format(time.RFC3339Nano), got.ModTime().UTC().Format(time.RFC3339Nano))
	if isLink {
		wantTarget, err := os.Readlink(wantPath)
		if err != nil {
			return nil, err
		}
		gotTarget, err := os.Readlink(gotPath)
		differ("target", wantTarget, gotTarget)
		return differences, err
	}
	differ("mode", want.Mode(), got.Mode())
	if !want.Mode().IsRegular() {
		return differences, nil
	}
	differ("size", want.Size(), got.Size())
	if want.Size() == got.Size() {
		same, err := sameContent(wantPath, gotPath)
		differ("content", "the same", map[bool]string{true: "the same", false: "different"}[same])
		return differences, err
	}
	return differences, nil
}

func owner(info fs.FileInfo) string {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	return fmt.Sprintf("%d:%d", stat.Uid, stat.Gid)
}

// sameContent compares two files of the same size.
func sameContent(wantPath, gotPath string) (same bool, err error) {
	want, err := os.Open(wantPath)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, want.Close()) }()
	got, err := os.Open(gotPath)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, got.Close()) }()

	const block = 1 << 20
	wantBlock, gotBlock := make([]byte, block), make([]byte, block)
	for {
		n, wantErr := io.ReadFull(want, wantBlock)
		m, gotErr := io.ReadFull(got, gotBlock)
		if !bytes.Equal(wantBlock[:n], gotBlock[:m]) {
			return false, nil
		}
		if isEnd(wantErr) && isEnd(gotErr) {
			return true, nil
		}
		if err := errors.Join(wantErr, gotErr); err != nil {
			return false, err
		}
	}
}

func isEnd(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}
