package lfs

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/importer/meter"
	"github.com/lorry-controller/lorry-controller/core/importer/repo"
)

// DefaultRetry is the time before a second try.
const DefaultRetry = time.Second

// recordName is a file in the repository: for each target, which tips it has
// the objects of.
const recordName = "lorry-lfs"

// Sync brings the objects that a repository's refs lead to where they belong.
type Sync struct {
	Repo *repo.Repo
	// Always looks for pointers even where no .gitattributes hands files over
	// to git-lfs.
	Always bool
	// Upstream is where the objects come from. With no URL they are all here.
	Upstream Side
	// Downstream is where they go; with no URL they are only fetched.
	Downstream Side
	// Look is how often the target is asked whether it still has what was brought
	// before, at the moment Now; 0 means never.
	Look time.Duration
	Now  time.Time
	// Retry is the time before a second try; 0 means none.
	Retry time.Duration
	Out   io.Writer
	// Progress gets how far transfers are; nil: nobody does.
	Progress io.Writer
	Log      hclog.Logger
}

// record says what one target has.
type record struct {
	// Uses says that a .gitattributes handed files over to git-lfs.
	Uses bool `json:"uses"`
	// Unread says that nobody has looked, since there was no pointer.
	Unread bool     `json:"unread,omitempty"`
	Tips   []string `json:"tips"`
	// Looked is when the target was last asked for what it had before, in seconds
	// since 1970, and Next where among all objects the next look begins.
	Looked int64 `json:"looked,omitempty"`
	Next   int   `json:"next,omitempty"`
}

// Run brings the objects that tips lead to. has are the tips that the target is
// known to have now: what leads from them, and was brought in an earlier run,
// is not looked at again. The error is a *gitfail.Error.
func (s *Sync) Run(ctx context.Context, tips, has []string) error {
	all, err := s.records()
	if err != nil {
		return gitfail.From(err, gitfail.Local)
	}
	rec := all[s.Downstream.Access.URL]
	if s.Downstream.Access.URL == "" {
		has = rec.Tips // the objects are in the repository itself
	}
	tips = unique(tips)
	scan := &scanner{repo: s.Repo, have: common(unique(has), rec.Tips)}
	scan.tips = without(tips, scan.have)
	if len(scan.tips) > 0 {
		pointers, err := s.find(ctx, scan, &rec, tips)
		if err == nil {
			err = s.bring(ctx, pointers)
		}
		if err != nil {
			return gitfail.From(err, gitfail.Local)
		}
	}
	looked, err := s.again(ctx, &rec, tips, len(scan.have) == 0)
	if err != nil {
		return gitfail.From(err, gitfail.Local)
	}
	before := len(rec.Tips)
	rec.Tips = tips
	if all[s.Downstream.Access.URL] = rec; len(scan.tips) == 0 && before == len(tips) && !looked {
		return nil
	}
	if err := repo.WriteRecord(filepath.Join(s.Repo.Dir, recordName), all); err != nil {
		return gitfail.From(err, gitfail.Local)
	}
	return nil
}

// again looks after what was brought before, when it is time to, and brings what
// is lost. fresh says that everything has just been brought.
func (s *Sync) again(ctx context.Context, rec *record, tips []string, fresh bool) (looked bool, err error) {
	if !s.due(*rec) {
		return false, nil
	}
	rec.Looked = s.Now.Unix()
	if fresh {
		return true, nil
	}
	lost, err := s.gone(ctx, rec, tips)
	if err == nil {
		err = s.mend(ctx, lost)
	}
	return true, err
}

func unique(list []string) []string {
	list = slices.Clone(list)
	sort.Strings(list)
	return slices.Compact(list)
}

// common are the members of a list that are in the other too.
func common(list, other []string) []string {
	in := set(other)
	return slices.DeleteFunc(list, func(x string) bool { return !in[x] })
}

// without are the members of a list that are not in the other.
func without(list, other []string) []string {
	in := set(other)
	return slices.DeleteFunc(slices.Clone(list), func(x string) bool { return in[x] })
}

func set(list []string) map[string]bool {
	m := make(map[string]bool, len(list))
	for _, x := range list {
		m[x] = true
	}
	return m
}

// find gives the pointers among what is new, of a repository that uses git-lfs:
// elsewhere they are files like others. In the record it notes whether it does.
func (s *Sync) find(ctx context.Context, scan *scanner, rec *record, tips []string) ([]Pointer, error) {
	whole := &scanner{repo: s.Repo, tips: tips}
	var err error
	switch {
	case s.Always || rec.Uses:
		rec.Unread = !rec.Uses
		return scan.pointers(ctx)
	case len(scan.have) == 0: // everything is new
		may, merr := scan.mayHave(ctx)
		if rec.Unread = !may; merr != nil || !may {
			return nil, merr
		}
		rec.Uses, err = scan.uses(ctx)
	case rec.Unread:
		pointers, perr := scan.pointers(ctx)
		if perr != nil || len(pointers) == 0 {
			return nil, perr
		}
		rec.Unread = false
		rec.Uses, err = whole.uses(ctx)
	default:
		rec.Uses, err = scan.uses(ctx)
	}
	if err != nil || !rec.Uses {
		return nil, err
	}
	// What was a file like others until now is a pointer, however old it is.
	return whole.pointers(ctx)
}

// bring brings the objects of pointers.
func (s *Sync) bring(ctx context.Context, pointers []Pointer) error {
	if len(pointers) == 0 {
		return nil
	}
	store := OpenStore(s.Repo.Dir)
	if err := store.Sweep(); err != nil {
		return err
	}
	switch {
	case s.Downstream.Access.URL == "":
		return s.fetch(ctx, store, pointers)
	case s.Downstream.Path != "":
		return s.copyTo(ctx, store, pointers)
	}
	return s.upload(ctx, store, pointers)
}

// copyTo brings objects to a repository on this machine.
func (s *Sync) copyTo(ctx context.Context, store Store, pointers []Pointer) error {
	target := localStores(s.Downstream.Path)[0]
	if err := target.Sweep(); err != nil {
		return gitfail.From(err, gitfail.Downstream)
	}
	var lacking []Pointer
	for _, p := range pointers {
		if !target.Has(p) {
			lacking = append(lacking, p)
		}
	}
	if err := s.fetch(ctx, store, lacking); err != nil {
		return err
	}
	m := s.tell("copying", lacking)
	for _, p := range lacking {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := copyObject(target, store, p, m); err != nil {
			return gitfail.From(err, gitfail.Downstream)
		}
	}
	return nil
}

func copyObject(to, from Store, p Pointer, progress io.Writer) error {
	f, err := from.Open(p)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	return to.Put(p, io.TeeReader(f, progress))
}

// fetch brings objects from upstream into the working area.
func (s *Sync) fetch(ctx context.Context, store Store, pointers []Pointer) error {
	var lacking []Pointer
	for _, p := range pointers {
		if !store.Has(p) {
			lacking = append(lacking, p)
		}
	}
	switch {
	case len(lacking) == 0:
		return nil
	case s.Upstream.Path != "":
		return s.copyFrom(ctx, store, lacking)
	case s.Upstream.Access.URL == "":
		return fault(gitfail.Local, core.FailLFS, hintLost, "the object of git-lfs for %s is not here any more", lacking[0].name())
	}
	return s.download(ctx, store, lacking, s.tell("fetching", lacking))
}

// copyFrom takes objects from an upstream on this machine.
func (s *Sync) copyFrom(ctx context.Context, store Store, pointers []Pointer) error {
	m := s.tell("copying", pointers)
	var lost []Pointer
	for _, p := range pointers {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		from := localStores(s.Upstream.Path)[0]
		if !from.Has(p) {
			lost = append(lost, p)
			continue
		}
		if err := copyObject(store, from, p, m); err != nil {
			return (&api{side: s.Upstream}).written(ctx, p, err)
		}
	}
	return missing(s.Upstream.Place, lost)
}

// missing is the failure of pointers without objects.
func missing(place gitfail.Place, lost []Pointer) error {
	if len(lost) == 0 {
		return nil
	}
	text := fmt.Sprintf("the object of git-lfs for %s is missing", lost[0].name())
	if n := len(lost) - 1; n > 0 {
		text += fmt.Sprintf(", and %d more", n)
	}
	return fault(place, core.FailLFS, hintLost, "%s", text)
}

// tell says what is begun, and gives what its bytes are to be counted with.
func (s *Sync) tell(what string, pointers []Pointer) io.Writer {
	var bytes int64
	for _, p := range pointers {
		bytes += p.Size
	}
	m := meter.Bytes(s.Progress, nil, strings.ToUpper(what[:1])+what[1:]+" files", bytes)
	if len(pointers) == 0 {
		return m
	}
	fmt.Fprintf(s.Out, ".. %s %d objects of git-lfs (%d bytes)\n", what, len(pointers), bytes)
	return m
}

func (s *Sync) records() (map[string]record, error) {
	all := make(map[string]record)
	text, err := os.ReadFile(filepath.Join(s.Repo.Dir, recordName))
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	if err == nil && json.Unmarshal(text, &all) != nil {
		return make(map[string]record), nil // then everything is looked at again
	}
	return all, nil
}
