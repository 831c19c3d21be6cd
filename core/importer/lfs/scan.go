package lfs

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/lorry-controller/lorry-controller/core/importer/meter"
	"github.com/lorry-controller/lorry-controller/core/importer/repo"
)

// scanner finds pointers in what is new in a repository: what leads from tips
// and not from have.
type scanner struct {
	repo       *repo.Repo
	tips, have []string
}

// pointers gives every pointer among the new files, each object once.
func (s *scanner) pointers(ctx context.Context) ([]Pointer, error) {
	var found []Pointer
	seen := make(map[string]bool)
	err := s.walk(ctx, func(h header, r io.Reader) error {
		if h.kind != "blob" || h.size >= maxPointer {
			return nil
		}
		text, err := io.ReadAll(r)
		if p, ok := ParsePointer(text); ok && !seen[p.OID] {
			seen[p.OID], p.Path = true, h.path
			found = append(found, p)
		}
		return err
	}, "--filter=object:type=blob", "--filter=blob:limit="+strconv.Itoa(maxPointer))
	return found, err
}

// walk gives each new object that passes the filters to a function.
func (s *scanner) walk(ctx context.Context, each func(header, io.Reader) error, filters ...string) error {
	in, out := io.Pipe()
	listed := make(chan error, 1)
	go func() {
		err := s.list(ctx, out, filters...)
		listed <- err
		_ = out.CloseWithError(err)
	}()
	err := s.contents(ctx, in, each)
	_ = in.Close()
	if lerr := <-listed; lerr != nil && !errors.Is(lerr, io.ErrClosedPipe) && (err == nil || ctx.Err() == nil) {
		err = lerr
	}
	return err
}

// mayHave reports whether any file in the repository, wherever it is, is a
// pointer. It walks through no history and reads only files of a pointer's
// length, which takes a fraction of the time where everything is new.
func (s *scanner) mayHave(ctx context.Context) (bool, error) {
	in, out := io.Pipe()
	listed := make(chan error, 1)
	go func() {
		names := bufio.NewWriter(out)
		call := s.repo.Call("cat-file", "--batch-all-objects", "--unordered", "--buffer", "--batch-check=%(objecttype) %(objectsize) %(objectname)")
		call.Stdout = meter.Lines(func(line string) {
			words := strings.Split(line, " ")
			if len(words) != 3 || words[0] != "blob" {
				return
			}
			if size, err := strconv.Atoi(words[1]); err == nil && size >= minPointer && size < maxPointer {
				_, _ = names.WriteString(words[2] + "\n") // a reader that has gone tells why itself
			}
		})
		err := s.repo.Git.Run(ctx, call)
		if ferr := names.Flush(); err == nil && !errors.Is(ferr, io.ErrClosedPipe) {
			err = ferr
		}
		listed <- err
		_ = out.CloseWithError(err)
	}()
	found := false
	err := s.contents(ctx, in, func(_ header, r io.Reader) error {
		text, err := io.ReadAll(r)
		_, is := ParsePointer(text)
		found = found || is
		return err
	})
	_ = in.Close()
	if lerr := <-listed; lerr != nil && err == nil {
		err = fmt.Errorf("cannot look for pointers of git-lfs: %w", lerr)
	}
	return found, err
}

// list runs git rev-list over what is new.
func (s *scanner) list(ctx context.Context, out io.Writer, filters ...string) error {
	call := s.repo.Call(append([]string{"rev-list", "--objects", "--ignore-missing", "--stdin"}, filters...)...)
	var revs strings.Builder
	for _, tip := range s.tips {
		revs.WriteString(tip + "\n")
	}
	for _, old := range s.have {
		revs.WriteString("^" + old + "\n")
	}
	call.Stdin, call.Stdout = strings.NewReader(revs.String()), out
	if err := s.repo.Git.Run(ctx, call); err != nil {
		return fmt.Errorf("cannot look for pointers of git-lfs: %w", err)
	}
	return nil
}

// header is what git cat-file says of one object.
type header struct {
	kind string
	size int64
	path string
}

// contents gives each of the named objects to a function. Lines of names may
// hold a path after the object's name.
func (s *scanner) contents(ctx context.Context, names io.Reader, each func(header, io.Reader) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	call := s.repo.Call("cat-file", "--batch=%(objecttype) %(objectsize) %(rest)", "--buffer")
	in, out := io.Pipe()
	call.Stdin, call.Stdout = names, out
	done := make(chan error, 1)
	go func() {
		err := s.repo.Git.Run(ctx, call)
		_ = out.CloseWithError(err)
		done <- err
	}()
	err := readObjects(bufio.NewReaderSize(in, 64<<10), each)
	if err != nil {
		cancel()
	}
	_ = in.CloseWithError(errStop)
	if cerr := <-done; cerr != nil && (err == nil || errors.Is(err, io.ErrUnexpectedEOF)) {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("cannot look for pointers of git-lfs: %w", err)
	}
	return nil
}

var errStop = errors.New("no more is wanted")

// readObjects reads the output of git cat-file --batch.
func readObjects(r *bufio.Reader, each func(header, io.Reader) error) error {
	for {
		line, err := r.ReadString('\n')
		if errors.Is(err, io.EOF) && line == "" {
			return nil
		}
		if err != nil {
			return err
		}
		if strings.HasSuffix(line, " missing\n") {
			continue // a partial history; the push would say so
		}
		words := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 3)
		if len(words) < 2 {
			return fmt.Errorf("%q is no answer of git cat-file", line)
		}
		size, err := strconv.ParseInt(words[1], 10, 64)
		if err != nil || size < 0 {
			return fmt.Errorf("%q is no answer of git cat-file", line)
		}
		h := header{kind: words[0], size: size}
		if len(words) == 3 {
			h.path = words[2]
		}
		body := io.LimitReader(r, size)
		if err := each(h, body); err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, body); err != nil {
			return err
		}
		if _, err := r.Discard(1); err != nil {
			return err
		}
	}
}
