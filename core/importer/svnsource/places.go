package svnsource

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
)

// place is a branch or tag as upstream has it now.
type place struct{ ref, path string }

// places lists what upstream has where the layout has branches and tags, by the
// refs that git svn gives them. A directory that cannot be listed, or holds them
// deeper than one level, has none: nothing is said of it.
func (s *Source) places(ctx context.Context) map[string]place {
	l, all := s.layout(), make(map[string]place)
	// What the layout names twice is one of both, and trunk goes before all.
	taken := map[string]string{l.Trunk: ""}
	for _, kind := range []struct{ pattern, refs string }{{l.Branches, headsRefs}, {l.Tags, tagsRefs}} {
		left, names, right := wildcard(kind.pattern)
		if names == "" {
			continue
		}
		dirs, err := s.list(ctx, left)
		if err != nil {
			s.Log.Debug("cannot list a directory of upstream", "lorry", s.Area.Name, "directory", left, "error", err)
			continue
		}
		for _, dir := range dirs {
			if names != "*" && !slices.Contains(strings.Split(strings.Trim(names, "{}"), ","), dir) {
				continue
			}
			p := place{kind.refs + dir, strings.Trim(left+"/"+dir+"/"+right, "/")}
			if other, twice := taken[p.path]; twice {
				delete(all, other)
				continue
			}
			all[p.ref], taken[p.path] = p, p.ref
		}
	}
	return all
}

// wildcard splits a pattern at its only part that stands for several names;
// there is none if it has several, or one that is more than that.
func wildcard(pattern string) (left, names, right string) {
	parts := strings.Split(pattern, "/")
	at := slices.IndexFunc(parts, func(part string) bool { return strings.ContainsAny(part, "*{") })
	if at < 0 || strings.ContainsAny(strings.Join(parts[at+1:], "/"), "*{") || parts[at] != "*" && !strings.HasPrefix(parts[at], "{") {
		return "", "", ""
	}
	return strings.Join(parts[:at], "/"), parts[at], strings.Join(parts[at+1:], "/")
}

// list gives the names of the directories below a path.
func (s *Source) list(ctx context.Context, path string) ([]string, error) {
	at := s.below(path)
	if strings.HasPrefix(at.Access.URL, "http://") || strings.HasPrefix(at.Access.URL, "https://") {
		return at.listOverHTTP(ctx)
	}
	out, err := s.svn(ctx, "list", "--", at.Access.URL+"@")
	var dirs []string
	for line := range strings.Lines(out) {
		if name, ok := strings.CutSuffix(strings.TrimSuffix(line, "\n"), "/"); ok {
			dirs = append(dirs, name)
		}
	}
	return dirs, err
}

// below is the source of a directory.
func (s *Source) below(path string) *Source {
	at := *s
	at.Access.URL = strings.TrimRight(at.Access.URL, "/")
	for part := range strings.SplitSeq(path, "/") {
		if part != "" {
			at.Access.URL += "/" + url.PathEscape(part)
		}
	}
	return &at
}

// children is the part of an answer about a directory's members that matters.
type children struct {
	Members []struct {
		Href       string     `xml:"href"`
		Collection []struct{} `xml:"propstat>prop>resourcetype>collection"`
	} `xml:"response"`
}

// maxList bounds the answer about one directory, in bytes.
const maxList = 64 << 20

func (s *Source) listOverHTTP(ctx context.Context) ([]string, error) {
	s.Access.URL += "/"
	resp, err := s.propfind(ctx, "1", `<?xml version="1.0" encoding="utf-8"?><propfind xmlns="DAV:"><prop><resourcetype/></prop></propfind>`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusMultiStatus {
		return nil, fmt.Errorf("the server answered %d", resp.StatusCode)
	}
	var c children
	if err := xml.NewDecoder(io.LimitReader(resp.Body, maxList)).Decode(&c); err != nil {
		return nil, err
	}
	var dirs []string
	for i, m := range c.Members {
		parts := strings.Split(strings.TrimRight(m.Href, "/"), "/")
		if name, err := url.PathUnescape(parts[len(parts)-1]); i > 0 && err == nil && len(m.Collection) > 0 {
			dirs = append(dirs, name)
		}
	}
	return dirs, nil
}

// lookedAt bounds how many places are asked for one by one.
const lookedAt = 10

// missing says, as a *gitfail.Error, what upstream has and git svn did not
// bring, or nil. It passes over what came along with a directory above the url
// that was moved or copied.
func (s *Source) missing(ctx context.Context, places map[string]place, refs map[string]string, now info) error {
	have := make(map[string]bool, len(refs))
	for ref := range refs {
		if plain, err := url.PathUnescape(ref); err == nil {
			have[plain] = true
		}
	}
	var lost []place
	for _, p := range places {
		if !have[p.ref] {
			lost = append(lost, p)
		}
	}
	slices.SortFunc(lost, func(a, b place) int { return strings.Compare(a.path, b.path) })
	for _, p := range lost[:min(len(lost), lookedAt)] {
		// It may hold nothing where the layout looks, or not be readable.
		if _, err := s.below(p.path).info(ctx); err != nil {
			continue
		}
		hint := "name the other branches and tags one by one in the layout, and remove this Lorry's directory from the working area"
		if now.path != "" {
			l := s.layout()
			hint = fmt.Sprintf("use the repository's root as the url, with the layout trunk: %q, branches: %q, tags: %q: the history before a move comes along, so that the commits are others",
				join(now.path, l.Trunk), join(now.path, l.Branches), join(now.path, l.Tags))
		}
		what := p.path
		if more := len(lost) - 1; more > 0 {
			what += fmt.Sprintf(" (and up to %d more places)", more)
		}
		return gitfail.New(core.FailSpec, gitfail.Upstream, hint, "upstream: it has %s, which git svn did not bring: a directory above was moved or copied with it", what)
	}
	return nil
}

// tellEarlier tells that trunk is older than what was mirrored of it: git svn
// follows it to no place outside of the url.
func (s *Source) tellEarlier(ctx context.Context, trunk string, now info) {
	if trunk == "" || now.path == "" {
		return
	}
	id, err := s.svnID(ctx, "--max-parents=0", "--max-count=1", trunk)
	if err != nil || !strings.HasPrefix(string(id), s.Access.URL) {
		return
	}
	address, mirrored := id.split()
	// Its first revision here, and the one that made the directory.
	made, err := s.askSvn(ctx, "log", "-q", "--stop-on-copy", "--limit=1", "-r", "1:"+mirrored, "--", string(id))
	_, made, _ = strings.Cut(made, "\nr")
	made, _, _ = strings.Cut(made, " ")
	revision, aerr := strconv.ParseInt(made, 10, 64)
	if err != nil || aerr != nil {
		return
	}
	earlier, err := s.askSvn(ctx, "info", "-r", strconv.FormatInt(revision-1, 10), "--", address+"@"+made)
	_, place, _ := strings.Cut(earlier, "Relative URL: ^/")
	if place, _, _ = strings.Cut(place, "\n"); err == nil && place != "" && !strings.HasPrefix(place, now.path+"/") {
		fmt.Fprintf(s.Out, ".. warning: what is mirrored begins with r%s, before which it was at %s, outside of the url: to have its history from there, use the repository's root as the url, with a layout\n", made, place)
	}
}
