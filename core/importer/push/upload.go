package push

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/childproc"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/importer/lsrefs"
	"github.com/lorry-controller/lorry-controller/core/importer/meter"
	"github.com/lorry-controller/lorry-controller/core/importer/policy"
	"github.com/lorry-controller/lorry-controller/core/importer/sendpack"
)

// upload fills an empty repository over HTTP with the one pack that has it all:
// a push would walk through everything, and pack again what is packed. It
// reports whether it is known then what became of the refs: if not, nothing has
// been done, and git can do it and say what is in its way.
func (p *Push) upload(ctx context.Context, wanted []policy.Wanted, have map[string]string) (said map[string]report, known bool, failed error) {
	if !p.Whole || !overHTTP(p.Access.URL) || len(have) > 0 || len(p.Options) > 0 {
		return nil, false, nil
	}
	refs, err := p.exactly(ctx, wanted)
	if err != nil || refs == nil {
		return nil, false, nil //nolint:nilerr // git meets it again
	}
	name, size := onlyPack(p.Repo.Dir)
	if name == "" {
		return nil, false, nil
	}
	client := p.client()
	defer client.CloseIdleConnections()
	told := &remote{out: childproc.NewRedactor(p.Progress, p.Access.Secret.Reveal())}
	defer func() { _ = told.out.Close() }()
	got, err := sendpack.Send(ctx, sendpack.Request{
		Client: client, Access: p.Access, Refs: refs, Pack: filepath.Join(p.Repo.Dir, "objects", "pack", name+".pack"),
		Patience: p.Repo.Git.Patience() + p.patience(len(refs)),
		Sent:     meter.Bytes(p.Progress, nil, "Writing objects", size), Messages: told,
	})
	why := told.failure()
	switch {
	case ctx.Err() != nil:
		return nil, true, context.Cause(ctx)
	case errors.Is(err, sendpack.ErrStalled):
		return nil, true, gitfail.New(core.FailNetwork, gitfail.Downstream, gitfail.Hint(core.FailNetwork, gitfail.Downstream), "downstream: %v", err)
	case err == nil && got.Unpack == "":
		if !slices.ContainsFunc(slices.Collect(maps.Values(got.Refs)), func(reason string) bool { return reason != "" }) {
			why = nil
		}
		return reports(got), true, why
	case gitfail.From(why, gitfail.Downstream).Kind == core.FailDisk:
		return nil, true, why // another attempt fills it again
	default:
		p.Log.Info("git is to push what could not be sent as it is", "url", p.Access.URL, "error", err, "unpack", got.Unpack)
		return nil, false, nil
	}
}

// exactly gives the refs to create, or none unless everything that the
// repository holds is wanted: what is not must not get out.
func (p *Push) exactly(ctx context.Context, wanted []policy.Wanted) ([]lsrefs.Ref, error) {
	all, err := p.Repo.Refs(ctx)
	if err != nil {
		return nil, err
	}
	held := make(map[string]bool)
	for object := range maps.Values(all) {
		held[object] = true
	}
	kept := make(map[string]bool)
	var refs []lsrefs.Ref
	for _, w := range wanted {
		if !held[w.Object] {
			return nil, nil
		}
		kept[w.Object] = true
		refs = append(refs, lsrefs.Ref{Name: w.Dst, Object: w.Object})
	}
	if len(kept) != len(held) {
		return nil, nil
	}
	slices.SortFunc(refs, func(a, b lsrefs.Ref) int { return strings.Compare(a.Name, b.Name) })
	return refs, nil
}

// reports words what became of new refs as a push does.
func reports(r sendpack.Report) map[string]report {
	said := make(map[string]report, len(r.Refs))
	for ref, reason := range r.Refs {
		said[ref] = report{flag: '*'}
		if reason != "" {
			said[ref] = report{flag: '!', reason: reason}
		}
	}
	return said
}

// arrived reports whether downstream has all wanted refs.
func arrived(wanted []policy.Wanted, after map[string]string) bool {
	return !slices.ContainsFunc(wanted, func(w policy.Wanted) bool { return after[w.Dst] != w.Object })
}

// remote passes on what a server says to people, as git push shows it, and keeps
// the beginning of what is no progress.
type remote struct {
	out  *childproc.Redactor
	line []byte
	last strings.Builder
}

// maxRemote bounds what is kept, in bytes.
const maxRemote = 64 << 10

// Write implements io.Writer.
func (r *remote) Write(p []byte) (int, error) {
	for _, c := range p {
		if r.line = append(r.line, c); c != '\n' && c != '\r' && len(r.line) < childproc.MaxLine {
			continue
		}
		text := "remote: " + string(r.line)
		r.line = r.line[:0]
		if c == '\n' && r.last.Len() < maxRemote {
			r.last.WriteString(text)
		}
		if _, err := io.WriteString(r.out, text); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// failure is what the server said as the end of a push that failed.
func (r *remote) failure() error {
	return &childproc.ExitError{Program: "git push", Code: 1, Stderr: r.last.String()}
}

// client makes connections as git does: it follows no redirect. Patience alone
// bounds how long a server takes to answer.
func (p *Push) client() *http.Client {
	t := p.Route.Transport(p.Access.SkipCertificates)
	t.ResponseHeaderTimeout = 0
	return &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}
