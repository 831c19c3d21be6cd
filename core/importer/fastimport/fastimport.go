// Package fastimport feeds a repository with objects through git fast-import.
// What was written counts only once Finish has succeeded: a stream that breaks
// off changes no ref.
//
// It must not decide what any branch or tag shall be: it works on one ref of
// its own, Ref.
package fastimport

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/lorry-controller/lorry-controller/core/childproc"
	"github.com/lorry-controller/lorry-controller/core/importer/repo"
)

// Ref is the ref that commits are made on. It is removed by Clear.
const Ref = "refs/lorry/import"

// Stream is a git fast-import that is running. It is used by one goroutine.
type Stream struct {
	*bufio.Writer
	repo   *repo.Repo
	pipe   *io.PipeWriter
	result chan error
	marks  int
	ended  bool
	failed error // of git fast-import itself
}

// Start starts git fast-import. Finish or Abort must follow. marks is the file
// that gets the object of every mark, or "".
func Start(ctx context.Context, r *repo.Repo, marks string) *Stream {
	in, out := io.Pipe()
	s := &Stream{Writer: bufio.NewWriterSize(out, 64<<10), repo: r, pipe: out, result: make(chan error, 1)}
	args := []string{"fast-import", "--quiet", "--done", "--force", "--date-format=raw"}
	if marks != "" {
		args = append(args, "--export-marks="+marks)
	}
	call := r.Call(args...)
	call.Stdin = in
	call.Config = []childproc.Setting{{Key: "fastimport.unpackLimit", Value: "1"}, {Key: "core.bigFileThreshold", Value: "32m"}}
	go func() {
		err := r.Git.Run(ctx, call)
		// First, so that whoever fails to write finds the reason.
		s.result <- err
		if err == nil {
			err = errEnded
		}
		_ = in.CloseWithError(err)
	}()
	return s
}

var errEnded = errors.New("git fast-import has ended")

// Blob writes one file's contents, of exactly so many bytes, and gives its
// mark.
func (s *Stream) Blob(size int64, r io.Reader) (int, error) {
	s.marks++
	fmt.Fprintf(s, "blob\nmark :%d\ndata %d\n", s.marks, size)
	n, err := io.Copy(s, io.LimitReader(r, size))
	if err == nil && n < size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return 0, err
	}
	return s.marks, s.WriteByte('\n')
}

// Finish ends the stream and waits. Only a nil error says that everything is
// in the repository.
func (s *Stream) Finish() error {
	_, err := s.WriteString("done\n")
	if ferr := s.Flush(); err == nil {
		err = ferr
	}
	return s.end(err)
}

// Abort breaks the stream off and waits. After Finish it does nothing.
func (s *Stream) Abort() {
	if !s.ended {
		_ = s.end(errors.New("the stream was broken off"))
	}
}

// Err breaks the stream off after a failure of what feeds it, and gives what is
// to be told: the failure of git fast-import if that came first, else the
// given one.
func (s *Stream) Err(fed error) error {
	if !s.ended {
		_ = s.end(fed)
	}
	if s.failed != nil {
		return s.failed
	}
	return fed
}

// end waits for git fast-import, and breaks it off if err is not nil.
func (s *Stream) end(err error) error {
	s.ended = true
	if err == nil {
		_ = s.pipe.Close()
		s.failed = <-s.result
	} else {
		select {
		case s.failed = <-s.result: // it ended before it was told to
			_ = s.pipe.Close()
		default:
			_ = s.pipe.CloseWithError(err)
			<-s.result //nolint:errcheck // it fails because it was told to
		}
	}
	if s.failed != nil {
		err = s.failed
	}
	if err != nil {
		removeReports(s.repo.Dir)
	}
	return err
}

// removeReports removes what a fast-import that failed writes beside.
func removeReports(dir string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "fast_import_crash_") {
			_ = os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}

// Clear removes Ref, once what was made has a ref of its own.
func Clear(ctx context.Context, r *repo.Repo) error {
	refs, err := r.Refs(ctx, Ref)
	if err != nil || refs[Ref] == "" {
		return err
	}
	return r.Apply(ctx, []repo.Change{{Ref: Ref}})
}

// Quote writes a path the way git reads it, whatever bytes it holds.
func Quote(path string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(path) {
		switch c := path[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < 0x20 || c >= 0x7f:
			fmt.Fprintf(&b, "\\%03o", c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
