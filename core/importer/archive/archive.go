// Package archive brings a file of sources (tar, zip, or one compressed file)
// into the working area: each version is a commit on branch master, on top of
// the version before, and a tag with the file's name. Members are streamed into
// git; nothing is ever unpacked on disk.
//
// It must not touch the Downstream Host. Nothing becomes a branch or tag before
// the archive has been read to its end.
package archive

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/importer/download"
	"github.com/lorry-controller/lorry-controller/core/importer/fastimport"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/importer/lsrefs"
	"github.com/lorry-controller/lorry-controller/core/importer/pace"
	"github.com/lorry-controller/lorry-controller/core/importer/repo"
	"github.com/lorry-controller/lorry-controller/core/importer/workcopy"
	"github.com/lorry-controller/lorry-controller/core/spec"
)

// Source is one archive and its place in the working area.
type Source struct {
	workcopy.Copy
	// Kind is spec.Tarball, spec.Zip or spec.Gzip. What the file really is
	// decides how a tarball or zip is read.
	Kind   spec.Type
	Access core.Access
	// Path is where the file lies on this machine, or "" for one elsewhere.
	Path string
	// SHA256 is the checksum that the file must have, in lower-case hex, or "".
	SHA256 string
	Limits Limits
	// Env is the environment of programs that unpack.
	Env []string
}

const (
	master = "refs/heads/master"
	tags   = "refs/tags/"
	// recordName is a file in the repository that says what was taken last.
	recordName = "lorry-archive"
)

// record is what was taken last.
type record struct {
	Mark   string `json:"mark"` // of the facts before the download
	URL    string `json:"url"`
	SHA256 string `json:"sha256"`
	// Master and Tag are what the refs were then; others mean that the record
	// is about another state of the repository.
	Master string `json:"master"`
	Tag    string `json:"tag"`
}

// List asks the server what it has, without the file itself.
func (s *Source) List(ctx context.Context) (lsrefs.Listing, error) {
	var (
		f   download.Facts
		err error
	)
	switch {
	case s.Path != "":
		f, err = download.LookLocal(s.Access.URL, s.Path)
	case strings.HasPrefix(s.Access.URL, "http://"), strings.HasPrefix(s.Access.URL, "https://"):
		c := download.New(s.Access, s.Route)
		defer c.Close()
		f, err = c.Look(ctx)
	default:
		err = download.Unsupported(s.Access.URL)
	}
	mark := f.Mark()
	if err != nil || mark == "" {
		return lsrefs.Listing{}, err
	}
	mark += s.SHA256
	return lsrefs.FromMap(map[string]string{master: mark, tags + s.tag(): mark}, master), nil
}

// tag is the name of the version's tag.
func (s *Source) tag() string { return tagName(s.base()) }

// base is the name of the file.
func (s *Source) base() string {
	if s.Path != "" {
		return filepath.Base(s.Path)
	}
	u, err := url.Parse(s.Access.URL)
	if err != nil {
		return "archive"
	}
	return baseName(u.Path)
}

// Update takes the file in if it is another than the last. The error is a
// *gitfail.Error; the refs are then what they were before.
func (s *Source) Update(ctx context.Context, upstream lsrefs.Listing) (workcopy.Result, error) {
	if s.Limits == (Limits{}) {
		s.Limits = DefaultLimits()
	}
	return s.Run(ctx, func(ctx context.Context) (workcopy.Result, error) {
		res, err := s.update(ctx, upstream)
		res.Upstream = upstream
		return res, err
	})
}

func (s *Source) update(ctx context.Context, upstream lsrefs.Listing) (workcopy.Result, error) {
	before, err := s.Local(ctx)
	if err != nil {
		return workcopy.Result{}, gitfail.From(err, gitfail.Local)
	}
	old := s.record(before)
	mark := upstream.Map()[master]
	if old != nil && mark != "" && old.Mark == mark {
		fmt.Fprintln(s.Out, ".. the file is the one that was taken last")
		return s.Put(ctx, before, master)
	}
	dir, err := s.Area.Temp()
	if err != nil {
		return workcopy.Result{}, gitfail.From(err, gitfail.Local)
	}
	defer func() { _ = repo.Remove(dir) }()
	file, got, sum, err := s.fetch(ctx, filepath.Join(dir, "file"))
	if err != nil {
		return workcopy.Result{}, err
	}
	defer func() { _ = file.Close() }()
	refs := maps.Clone(before)
	address := core.HideParameters(s.Access.URL)
	if old == nil || old.SHA256 != sum || old.URL != address {
		if refs, err = s.take(ctx, file, got, before); err != nil {
			return workcopy.Result{}, err
		}
	} else {
		fmt.Fprintln(s.Out, ".. the contents are those that were taken last")
	}
	res, err := s.Put(ctx, refs, master)
	if err == nil {
		err = fastimport.Clear(ctx, s.Repo)
	}
	if err == nil {
		err = repo.WriteRecord(filepath.Join(s.Repo.Dir, recordName), record{mark, address, sum, refs[master], refs[tags+s.tag()]})
	}
	if err != nil {
		return workcopy.Result{}, gitfail.From(err, gitfail.Local)
	}
	return res, nil
}

// fetch brings the file into the working area and checks it as a whole.
func (s *Source) fetch(ctx context.Context, path string) (*os.File, download.Facts, string, error) {
	fmt.Fprintf(s.Out, ".. downloading %s\n", s.base())
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_EXCL, 0o600)
	if err != nil {
		return nil, download.Facts{}, "", gitfail.From(err, gitfail.Local)
	}
	hash := sha256.New()
	w := io.MultiWriter(file, hash)
	var got download.Facts
	if s.Path != "" {
		got, err = download.CopyLocal(w, s.Access.URL, s.Path, s.Limits.Download)
	} else {
		c := download.New(s.Access, s.Route)
		c.Progress, c.Least = s.Progress, pace.Of(s.Repo.Git)
		defer c.Close()
		got, err = c.Get(ctx, w, s.Limits.Download)
	}
	sum := hex.EncodeToString(hash.Sum(nil))
	if err == nil && s.SHA256 != "" && s.SHA256 != sum {
		err = gitfail.New(core.FailCorrupt, gitfail.Upstream, "nothing was changed; compare with what the file's owner says, and put the right checksum into the specification",
			"upstream: the file has the sha256 checksum %s, not %s", sum, s.SHA256)
	}
	if err != nil {
		_ = file.Close()
		return nil, download.Facts{}, "", err
	}
	return file, got, sum, nil
}

// take makes the commit and tag of a version, and gives the refs as they shall
// be with it.
func (s *Source) take(ctx context.Context, file *os.File, got download.Facts, before map[string]string) (map[string]string, error) {
	fmt.Fprintf(s.Out, ".. importing %s\n", s.base())
	stream := fastimport.Start(ctx, s.Repo, "")
	defer stream.Abort()
	r := &reader{file: file, kind: s.Kind, name: s.base(), limits: s.Limits, env: s.Env}
	t, err := r.read(ctx, stream)
	if err != nil {
		return nil, broken(stream.Err(err))
	}
	for _, name := range t.skipped {
		fmt.Fprintf(s.Out, ".. warning: left out %s\n", name)
	}
	seconds := when(t.newest, got.LastModified)
	if err := s.commit(stream, t, seconds, before[master]); err != nil {
		return nil, broken(stream.Err(err))
	}
	if err := stream.Finish(); err != nil {
		return nil, gitfail.From(err, gitfail.Local)
	}
	return s.named(ctx, before, seconds)
}

// when is the date of a version: that of its newest member, else the server's.
func when(newest int64, lastModified string) int64 {
	if newest > 0 {
		return newest
	}
	if at, err := http.ParseTime(lastModified); err == nil && at.Unix() > 0 {
		return at.Unix()
	}
	return 0
}

// Author is who every commit here is by; the original's were by the same name.
const Author = "Lorry Tar Creator"

const identity = Author + " <lorry-tar-importer@lorry>"

func (s *Source) commit(w *fastimport.Stream, t *tree, seconds int64, parent string) error {
	message := "Imported from " + s.base() + ".\n"
	fmt.Fprintf(w, "reset %s\ncommit %s\nmark :%d\n", fastimport.Ref, fastimport.Ref, tipMark)
	fmt.Fprintf(w, "author %s %d +0000\ncommitter %s %d +0000\ndata %d\n%s\n", identity, seconds, identity, seconds, len(message), message)
	if parent != "" {
		fmt.Fprintf(w, "from %s\n", parent)
	}
	fmt.Fprintln(w, "deleteall")
	for _, command := range t.commands() {
		fmt.Fprint(w, command)
	}
	fmt.Fprintf(w, "\n")
	return w.Flush()
}

// tipMark is a number that no blob has.
const tipMark = 1 << 30

// named gives the new commit and a tag their names, unless the version is there
// already with the same contents. The refs themselves are put by the caller.
func (s *Source) named(ctx context.Context, before map[string]string, seconds int64) (map[string]string, error) {
	refs, tag := maps.Clone(before), tags+s.tag()
	made, err := s.Repo.Refs(ctx, fastimport.Ref)
	tip := made[fastimport.Ref]
	if err != nil || tip == "" {
		return nil, gitfail.From(fmt.Errorf("the commit that was made is not there: %w", err), gitfail.Local)
	}
	if before[tag] != "" {
		tree, err := s.Repo.Git.Output(ctx, s.Repo.Call("rev-parse", "--verify", "--end-of-options", tip+"^{tree}"))
		if err != nil {
			return nil, gitfail.From(err, gitfail.Local)
		}
		was, err := s.Repo.Git.Output(ctx, s.Repo.Call("rev-parse", "--verify", "--end-of-options", before[tag]+"^{tree}"))
		if err == nil && was == tree {
			fmt.Fprintf(s.Out, ".. %s has these contents already\n", s.tag())
			return refs, nil
		}
	}
	if master := before[master]; master != "" && before[tag] == "" {
		// The version may have its commit, but no tag here.
		same, err := s.same(ctx, tip, master)
		if err != nil {
			return nil, gitfail.From(err, gitfail.Local)
		}
		if same {
			tip = master
		}
	}
	call := s.Repo.Call("hash-object", "-t", "tag", "-w", "--stdin")
	call.Stdin = strings.NewReader(fmt.Sprintf("object %s\ntype commit\ntag %s\ntagger %s %d +0000\n\nPackage %s\n", tip, s.tag(), identity, seconds, s.tag()))
	object, err := s.Repo.Git.Output(ctx, call)
	if err != nil {
		return nil, gitfail.From(err, gitfail.Local)
	}
	refs[master], refs[tag] = tip, strings.TrimSpace(object)
	return refs, nil
}

// same reports whether two commits are the import of one file.
func (s *Source) same(ctx context.Context, one, other string) (bool, error) {
	out, err := s.Repo.Git.Output(ctx, s.Repo.Call("rev-list", "--no-walk=unsorted", "--no-commit-header", "--format=%T %at %s", one, other))
	if err != nil {
		return false, err
	}
	first, second, _ := strings.Cut(strings.TrimSuffix(out, "\n"), "\n")
	return first == second, nil
}

// record reads what was taken last; nil when it says nothing about the refs as
// they are.
func (s *Source) record(refs map[string]string) *record {
	var r record
	if !repo.ReadRecord(filepath.Join(s.Repo.Dir, recordName), &r) || r.Master == "" || refs[master] != r.Master || refs[tags+s.tag()] != r.Tag {
		return nil
	}
	return &r
}
