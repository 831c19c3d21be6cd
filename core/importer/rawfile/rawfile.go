// Package rawfile keeps single files of any kind: each lies in git-lfs under
// its sha256 checksum, and branch master names which version is where. What has
// changed upstream is a new commit on top.
//
// It must not touch the Downstream Host; whoever pushes brings the objects of
// git-lfs along.
package rawfile

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/importer/download"
	"github.com/lorry-controller/lorry-controller/core/importer/fastimport"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/importer/lfs"
	"github.com/lorry-controller/lorry-controller/core/importer/lsrefs"
	"github.com/lorry-controller/lorry-controller/core/importer/pace"
	"github.com/lorry-controller/lorry-controller/core/importer/repo"
	"github.com/lorry-controller/lorry-controller/core/importer/workcopy"
	"github.com/lorry-controller/lorry-controller/core/spec"
)

// Source is a list of files and its place in the working area.
type Source struct {
	workcopy.Copy
	Files []File
	// Limit is how long one file may be, in bytes; 0 means DefaultLimit.
	Limit int64
}

// File is one file of the list.
type File struct {
	spec.File
	// Local is where it lies on this machine, or "" for one elsewhere.
	Local string
}

// DefaultLimit is how long one file may be, in bytes.
const DefaultLimit = 64 << 30

// Author is who every commit here is by.
const Author = "Lorry Raw File Importer"

const (
	master = "refs/heads/master"
	// recordName is a file in the repository that says what was taken last.
	recordName = "lorry-raw-files"
	identity   = Author + " <lorry-raw-file-importer@lorry>"
	// attributes hand every file but this one over to git-lfs.
	attributesName = ".gitattributes"
	attributes     = "* filter=lfs diff=lfs merge=lfs -text\n/.gitattributes !filter !diff !merge !text\n"
)

// taken is one file as it was taken last.
type taken struct {
	Mark     string `json:"mark"` // of the facts before the download; "" when nothing tells
	URL      string `json:"url"`  // without tokens and signatures
	OID      string `json:"oid"`
	Size     int64  `json:"size"`
	Modified int64  `json:"modified"` // seconds since 1970, or 0
}

// record is what was taken last.
type record struct {
	// Master is what the branch was then; another means that the record is
	// about another state of the repository.
	Master string           `json:"master"`
	Files  map[string]taken `json:"files"` // by path in the repository
}

// List asks what there is, without the files themselves.
func (s *Source) List(ctx context.Context) (lsrefs.Listing, error) {
	paths, err := s.paths()
	if err != nil {
		return lsrefs.Listing{}, err
	}
	h := sha256.New()
	for _, p := range slices.Sorted(maps.Keys(paths)) {
		facts, err := s.look(ctx, paths[p])
		if err != nil {
			return lsrefs.Listing{}, named(err, p)
		}
		mark := facts.Mark()
		if mark == "" {
			return lsrefs.Listing{}, nil
		}
		fmt.Fprintf(h, "%q %s %s\n", p, mark, paths[p].SHA256)
	}
	return lsrefs.FromMap(map[string]string{master: hex.EncodeToString(h.Sum(nil))}, master), nil
}

// named says which of several files failed.
func named(err error, path string) error {
	e := gitfail.From(err, gitfail.Upstream)
	if rest, ok := strings.CutPrefix(e.Cause, "upstream: "); ok {
		e.Cause = fmt.Sprintf("upstream: %s: %s", path, rest)
	}
	return e
}

// paths gives the files by their paths in the repository: the destination is a
// directory, in which a file has the last part of its URL as its name.
func (s *Source) paths() (map[string]File, error) {
	paths := make(map[string]File, len(s.Files))
	for _, f := range s.Files {
		name := filepath.Base(f.Local)
		if f.Local == "" {
			u, err := url.Parse(f.Access.URL)
			if err != nil {
				return nil, gitfail.New(core.FailSpec, gitfail.Upstream, "", "upstream: the url cannot be used")
			}
			name = path.Base("/" + u.Path)
		}
		full := path.Clean("/" + f.Destination + "/" + name)[1:]
		if spec.CheckPath(name) != nil || strings.Contains(name, "/") || full == attributesName {
			return nil, gitfail.New(core.FailSpec, gitfail.Upstream, "use an address that ends in a file's name", "upstream: the url of a file gives it the name %q, which cannot be used", name)
		}
		if paths[full].Access.URL != "" {
			return nil, gitfail.New(core.FailSpec, gitfail.Upstream, "give one of them another destination", "upstream: two urls give the same file %q", full)
		}
		paths[full] = f
	}
	for p := range paths {
		for dir := path.Dir(p); dir != "."; dir = path.Dir(dir) {
			if paths[dir].Access.URL != "" {
				return nil, gitfail.New(core.FailSpec, gitfail.Upstream, "give one of them another destination", "upstream: %q would be a file and a directory", dir)
			}
		}
	}
	return paths, nil
}

func (s *Source) look(ctx context.Context, f File) (download.Facts, error) {
	switch {
	case f.Local != "":
		return download.LookLocal(f.Access.URL, f.Local)
	case !overHTTP(f.Access.URL):
		return download.Facts{}, download.Unsupported(f.Access.URL)
	}
	c := download.New(f.Access, s.Route)
	defer c.Close()
	return c.Look(ctx)
}

func overHTTP(address string) bool {
	return strings.HasPrefix(address, "http://") || strings.HasPrefix(address, "https://")
}

// Update takes the files in that are others than the last. The error is a
// *gitfail.Error; the refs are then what they were before.
func (s *Source) Update(ctx context.Context, upstream lsrefs.Listing) (workcopy.Result, error) {
	return s.Run(ctx, func(ctx context.Context) (workcopy.Result, error) {
		res, err := s.update(ctx)
		res.Upstream = upstream
		return res, err
	})
}

func (s *Source) update(ctx context.Context) (workcopy.Result, error) {
	before, err := s.Local(ctx)
	if err != nil {
		return workcopy.Result{}, gitfail.From(err, gitfail.Local)
	}
	paths, err := s.paths()
	if err != nil {
		return workcopy.Result{}, err
	}
	old := s.record(before[master])
	now := record{Files: make(map[string]taken, len(paths))}
	store := lfs.OpenStore(s.Repo.Dir)
	if err := store.Sweep(); err != nil {
		return workcopy.Result{}, gitfail.From(err, gitfail.Local)
	}
	for _, p := range slices.Sorted(maps.Keys(paths)) {
		if now.Files[p], err = s.take(ctx, store, p, paths[p], old.Files[p]); err != nil {
			return workcopy.Result{}, named(err, p)
		}
	}
	tip := before[master]
	if tip == "" || !same(old.Files, now.Files) {
		if tip, err = s.commit(ctx, now, tip); err != nil {
			return workcopy.Result{}, gitfail.From(err, gitfail.Local)
		}
	}
	res, err := s.Put(ctx, map[string]string{master: tip}, master)
	if err == nil {
		err = fastimport.Clear(ctx, s.Repo)
	}
	if now.Master = tip; err == nil {
		err = repo.WriteRecord(filepath.Join(s.Repo.Dir, recordName), now)
	}
	if err != nil {
		return workcopy.Result{}, gitfail.From(err, gitfail.Local)
	}
	return res, nil
}

// same reports whether both name the same contents.
func same(a, b map[string]taken) bool {
	return maps.EqualFunc(a, b, func(x, y taken) bool { return x.OID == y.OID && x.Size == y.Size })
}

// take brings one file into the store, unless it is the one of the last time.
func (s *Source) take(ctx context.Context, store lfs.Store, name string, f File, old taken) (taken, error) {
	facts, err := s.look(ctx, f)
	if err != nil {
		return taken{}, err
	}
	if mark := facts.Mark(); mark != "" && mark == old.Mark && store.Has(lfs.Pointer{OID: old.OID, Size: old.Size}) && (f.SHA256 == "" || f.SHA256 == old.OID) {
		return old, nil
	}
	fmt.Fprintf(s.Out, ".. downloading %s\n", name)
	limit := s.Limit
	if limit == 0 {
		limit = DefaultLimit
	}
	in, out := io.Pipe()
	got := make(chan error, 1)
	go func() {
		var err error
		if f.Local != "" {
			facts, err = download.CopyLocal(out, f.Access.URL, f.Local, limit)
		} else {
			c := download.New(f.Access, s.Route)
			c.Progress, c.Seen, c.Least, c.AsIs = s.Progress, facts, pace.Of(s.Repo.Git), true
			defer c.Close()
			facts, err = c.Get(ctx, out, limit)
		}
		_ = out.CloseWithError(err)
		got <- err
	}()
	p, err := store.Add(&noPage{in: bufio.NewReaderSize(in, 512), name: name}, func(p lfs.Pointer) error {
		if f.SHA256 != "" && f.SHA256 != p.OID {
			return gitfail.New(core.FailCorrupt, gitfail.Upstream, "nothing was changed; compare with what the file's owner says, and put the right checksum into the specification",
				"upstream: the file has the sha256 checksum %s, not %s", p.OID, f.SHA256)
		}
		return nil
	})
	_ = in.CloseWithError(err)
	if failed := <-got; failed != nil && err == nil {
		err = failed
	}
	if err != nil {
		return taken{}, gitfail.From(err, gitfail.Local)
	}
	t := taken{Mark: facts.Mark(), URL: core.HideParameters(f.Access.URL), OID: p.OID, Size: p.Size}
	if at, err := http.ParseTime(facts.LastModified); err == nil {
		t.Modified = max(0, at.Unix())
	}
	return t, nil
}

// noPage refuses a page that a server gives in place of a file.
type noPage struct {
	in     *bufio.Reader
	name   string
	looked bool
}

// Read implements io.Reader.
func (n *noPage) Read(p []byte) (int, error) {
	if !n.looked {
		n.looked = true
		head, _ := n.in.Peek(512) // what goes wrong is told by the reading
		text, name := strings.ToLower(string(bytes.TrimLeft(head, "\xef\xbb\xbf \t\r\n"))), strings.ToLower(n.name)
		if (strings.HasPrefix(text, "<!doctype html") || strings.HasPrefix(text, "<html")) && !strings.Contains(path.Ext(name), "htm") {
			return 0, gitfail.New(core.FailNotGit, gitfail.Upstream, gitfail.Hint(core.FailNotGit, gitfail.Upstream), "upstream: what came is a page (HTML)")
		}
	}
	return n.in.Read(p)
}

// commit makes a commit of all files and gives it.
func (s *Source) commit(ctx context.Context, now record, parent string) (string, error) {
	names := slices.Sorted(maps.Keys(now.Files))
	var seconds int64
	for _, t := range now.Files {
		seconds = max(seconds, t.Modified)
	}
	stream := fastimport.Start(ctx, s.Repo, "")
	defer stream.Abort()
	message := "Import of raw files\n\n"
	for _, name := range names {
		message += name + " from " + now.Files[name].URL + "\n"
	}
	fmt.Fprintf(stream, "reset %s\ncommit %s\nauthor %s %d +0000\ncommitter %s %d +0000\ndata %d\n%s\n",
		fastimport.Ref, fastimport.Ref, identity, seconds, identity, seconds, len(message), message)
	if parent != "" {
		fmt.Fprintf(stream, "from %s\n", parent)
	}
	fmt.Fprintf(stream, "deleteall\nM 100644 inline %s\ndata %d\n%s\n", attributesName, len(attributes), attributes)
	for _, name := range names {
		t := now.Files[name]
		text := lfs.Pointer{OID: t.OID, Size: t.Size}.Text()
		fmt.Fprintf(stream, "M 100644 inline %s\ndata %d\n%s\n", fastimport.Quote(name), len(text), text)
	}
	fmt.Fprintln(stream)
	if err := stream.Finish(); err != nil {
		return "", err
	}
	made, err := s.Repo.Refs(ctx, fastimport.Ref)
	if err == nil && made[fastimport.Ref] == "" {
		err = fmt.Errorf("the commit that was made is not there")
	}
	if err != nil || parent == "" {
		return made[fastimport.Ref], err
	}
	// A run that was stopped before it wrote down what it took leaves a commit
	// with the same files.
	tree, err := s.Repo.Git.Output(ctx, s.Repo.Call("rev-parse", "--verify", "--end-of-options", made[fastimport.Ref]+"^{tree}"))
	if err != nil {
		return "", err
	}
	was, err := s.Repo.Git.Output(ctx, s.Repo.Call("rev-parse", "--verify", "--end-of-options", parent+"^{tree}"))
	if err == nil && was == tree {
		return parent, nil
	}
	return made[fastimport.Ref], nil
}

// record reads what was taken last; empty when it says nothing about the
// repository as it is.
func (s *Source) record(tip string) record {
	var r record
	if !repo.ReadRecord(filepath.Join(s.Repo.Dir, recordName), &r) || r.Master == "" || r.Master != tip {
		return record{}
	}
	for name, t := range r.Files {
		t.URL = core.HideParameters(t.URL) // earlier versions kept it as it was
		r.Files[name] = t
	}
	return r
}
