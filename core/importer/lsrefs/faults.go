package lsrefs

import (
	"context"
	"errors"
	"io"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/importer/pktline"
)

// errNothing is an answer without a single byte.
var errNothing = errors.New("the answer is empty")

// unread is the failure of an answer that is no list of refs, or not the whole
// of one; nil stays nil.
func unread(ctx context.Context, err error) error {
	var known *gitfail.Error
	if err == nil || errors.As(err, &known) {
		return err
	}
	if ctx.Err() == nil && (errors.Is(err, pktline.ErrFormat) || errors.Is(err, errNothing)) {
		return gitfail.New(core.FailNotGit, gitfail.Upstream, gitfail.Hint(core.FailNotGit, gitfail.Upstream), "upstream: %v", err)
	}
	return ConnectionError(ctx, err)
}

// tooMany is the failure of a list that is longer than is taken.
func tooMany(bytes int64) error {
	return gitfail.New(core.FailLimit, gitfail.Upstream, gitfail.HintServer, "upstream: its list of refs is longer than %d bytes", bytes)
}

// bounded gives so many bytes of an answer, and an error where there are more.
func bounded(r io.Reader, most int64) io.Reader { return &limited{r, most, most} }

type limited struct {
	io.Reader
	left, most int64
}

// Read implements io.Reader.
func (l *limited) Read(p []byte) (int, error) {
	if l.left < 0 {
		return 0, tooMany(l.most)
	}
	n, err := l.Reader.Read(p[:min(int64(len(p)), l.left+1)])
	if l.left -= int64(n); l.left < 0 {
		return 0, tooMany(l.most)
	}
	return n, err
}
