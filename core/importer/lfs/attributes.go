package lfs

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"strings"

	"github.com/lorry-controller/lorry-controller/core/importer/meter"
)

// attributesName is the name of the files that say what git does with others.
const attributesName = ".gitattributes"

// uses reports whether any .gitattributes among the new files hands files over
// to git-lfs. A walk names each file by one path alone, though it may have been
// a .gitattributes on another branch or before: where the paths show none, the
// directories are read. That takes longer, and is for repositories with
// pointers, of which most need no second look.
func (s *scanner) uses(ctx context.Context) (bool, error) {
	shown := make(map[string]bool)
	lines := meter.Lines(func(line string) {
		if object, path, ok := strings.Cut(line, " "); ok && (path == attributesName || strings.HasSuffix(path, "/"+attributesName)) {
			shown[object] = true
		}
	})
	if err := s.list(ctx, lines); err != nil {
		return false, err
	}
	if uses, err := s.handOver(ctx, shown); uses || err != nil {
		return uses, err
	}
	named, err := s.attributes(ctx)
	if err != nil {
		return false, err
	}
	for object := range shown {
		delete(named, object)
	}
	return s.handOver(ctx, named)
}

// attributes gives every object that a new directory calls .gitattributes.
func (s *scanner) attributes(ctx context.Context) (map[string]bool, error) {
	found := make(map[string]bool)
	if len(s.tips) == 0 {
		return found, nil
	}
	hash, read := hex.DecodedLen(len(s.tips[0])), bufio.NewReader(nil)
	err := s.walk(ctx, func(h header, r io.Reader) error {
		if h.kind != "tree" {
			return nil
		}
		read.Reset(r)
		return readTree(read, hash, found)
	}, "--filter=object:type=tree")
	return found, err
}

// readTree notes what a tree's text calls .gitattributes: each entry is a mode,
// a name, a zero byte and so many bytes of an object's name.
func readTree(r *bufio.Reader, hash int, found map[string]bool) error {
	object := make([]byte, hash)
	for {
		entry, err := r.ReadSlice(0)
		is := err == nil && bytes.HasSuffix(entry, []byte(" "+attributesName+"\x00"))
		for errors.Is(err, bufio.ErrBufferFull) { // a name that no directory could have
			_, err = r.ReadSlice(0)
		}
		if errors.Is(err, io.EOF) && len(entry) == 0 {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := io.ReadFull(r, object); err != nil {
			return err
		}
		if is {
			found[hex.EncodeToString(object)] = true
		}
	}
}

// handOver reports whether any of these files hands files over to git-lfs.
func (s *scanner) handOver(ctx context.Context, files map[string]bool) (bool, error) {
	if len(files) == 0 {
		return false, nil
	}
	var names strings.Builder
	for object := range files {
		names.WriteString(object + "\n")
	}
	uses := false
	err := s.contents(ctx, strings.NewReader(names.String()), func(h header, r io.Reader) error {
		if uses || h.kind != "blob" {
			return nil
		}
		for in := bufio.NewReader(r); !uses; {
			line, _, err := in.ReadLine() // git passes over lines longer than that takes
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			uses = bytes.Contains(line, []byte("filter=lfs"))
		}
		return nil
	})
	return uses, err
}
