// Package lsrefs reads what branches and tags a git repository has without
// fetching anything: over smart HTTP in this very process, otherwise by
// git ls-remote. A minion uses it to see that nothing has changed, the
// importer before it fetches; both get the same digest.
//
// It must not keep anything between two listings but idle connections, and
// which servers need not be asked first what they speak.
package lsrefs

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"sort"
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/importer/pktline"
)

// Ref is a name and the object that it points to.
type Ref struct{ Name, Object string }

// Listing is what a repository has: its refs by name, without HEAD and without
// what tags are peeled to.
type Listing struct {
	Refs []Ref
	// Head is the full name of the branch that HEAD names, or "" when it names
	// none that exists.
	Head string
	// Links are the other symbolic refs, with the full name of what they stand
	// for, as far as the server tells.
	Links map[string]string
}

// Select gives the refs whose names are kept, and the same Head.
func (l Listing) Select(keep func(name string) bool) Listing {
	out := Listing{Head: l.Head}
	for _, r := range l.Refs {
		if keep(r.Name) {
			out.Refs = append(out.Refs, r)
		}
	}
	return out
}

// Map gives the refs as a map from name to object.
func (l Listing) Map() map[string]string {
	m := make(map[string]string, len(l.Refs))
	for _, r := range l.Refs {
		m[r.Name] = r.Object
	}
	return m
}

// Digest is a short text that changes when any ref or HEAD changes. The
// policy, any text, is part of it: another way of mirroring the same refs
// gives another digest.
func (l Listing) Digest(policy string) string {
	h := sha256.New()
	fmt.Fprintf(h, "policy %q\n", policy)
	var line []byte
	for _, r := range l.Refs {
		line = append(append(append(append(line[:0], r.Object...), ' '), r.Name...), '\n')
		_, _ = h.Write(line)
	}
	fmt.Fprintf(h, "HEAD %s\n", l.Head)
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

func (l *Listing) sort() {
	sort.Slice(l.Refs, func(i, j int) bool { return l.Refs[i].Name < l.Refs[j].Name })
}

// settled gives the listing with its refs sorted, each of them once, and HEAD as
// git ls-remote tells it: only when its branch exists.
func (l Listing) settled() (Listing, error) {
	l.sort()
	var twice error
	l.Refs = slices.CompactFunc(l.Refs, func(a, b Ref) bool {
		if a.Name == b.Name && a.Object != b.Object && twice == nil {
			twice = gitfail.New(core.FailCorrupt, gitfail.Upstream, gitfail.HintServer, "upstream: it lists %.200q twice, as %.12s and as %.12s", a.Name, a.Object, b.Object)
		}
		return a == b
	})
	if twice != nil {
		return Listing{}, twice
	}
	if !slices.ContainsFunc(l.Refs, func(r Ref) bool { return r.Name == l.Head }) {
		l.Head = ""
	}
	return l, nil
}

// link takes in that a name stands for another.
func (l *Listing) link(name, target string) {
	if name == "HEAD" {
		l.Head = target
		return
	}
	if l.Links == nil {
		l.Links = make(map[string]string)
	}
	l.Links[name] = target
}

// add takes one advertised ref in. Peeled tags and pseudo-refs are left out;
// names that git does not take are not.
func (l *Listing) add(object, name string) error {
	if name == "HEAD" || strings.HasSuffix(name, "^{}") || !strings.HasPrefix(name, "refs/") {
		return nil
	}
	object = strings.ToLower(object)
	if !validObject(object) || strings.ContainsAny(name, "\n\x00") {
		return gitfail.New(core.FailNotGit, gitfail.Upstream, gitfail.HintServer, "upstream: it lists %.200q as %.100q, which is no ref", name, object)
	}
	l.Refs = append(l.Refs, Ref{name, object})
	return nil
}

func validObject(s string) bool {
	if len(s) != 40 && len(s) != 64 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// ParseLsRemote reads the output of git ls-remote --symref.
func ParseLsRemote(r io.Reader) (Listing, error) {
	var l Listing
	in := bufio.NewScanner(r)
	in.Buffer(make([]byte, 0, 4096), 1<<20)
	for in.Scan() {
		left, name, ok := strings.Cut(in.Text(), "\t")
		if !ok {
			return Listing{}, fmt.Errorf("%.200q is no ref: %w", in.Text(), pktline.ErrFormat)
		}
		if target, symref := strings.CutPrefix(left, "ref: "); symref {
			l.link(name, target)
			continue
		}
		if err := l.add(left, name); err != nil {
			return Listing{}, err
		}
	}
	if err := in.Err(); err != nil {
		return Listing{}, err
	}
	return l.settled()
}

// FromMap makes a listing of refs that are known otherwise.
func FromMap(refs map[string]string, head string) Listing {
	l := Listing{Head: head, Refs: make([]Ref, 0, len(refs))}
	for name, object := range refs {
		l.Refs = append(l.Refs, Ref{name, object})
	}
	l.sort()
	return l
}
