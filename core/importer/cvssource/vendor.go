package cvssource

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/lorry-controller/lorry-controller/core/importer/meter"
)

// vendored is a file of which a checkout of the trunk gives a vendor's
// revisions, until it is changed here.
type vendored struct {
	// imports are the commits that brought the vendor's later revisions, in
	// order. The first one is what the trunk has.
	imports []origin
	// until is the place of the first change here, after which an import
	// changes nothing on the trunk.
	until int
	// always is whether a change here changes nothing either, since the
	// vendor's branch was made the default one again.
	always bool
}

// first is what the server says of the beginning of a file.
type first struct {
	branch   string // the default one, "" for the trunk
	trunk    string // the date of 1.1
	imported string // the date of 1.1.1.1
}

// vendor is the branch whose revisions a checkout of the trunk gives, or "".
// CVS tells an import of a new file from one over a file that was there by the
// dates of these two revisions (RCS_getdate in its rcs.c).
func (f first) vendor() string {
	if f.branch == "" && f.trunk != "" && f.trunk == f.imported {
		return "1.1.1"
	}
	return f.branch
}

// vendorRevision gives a revision's branch and its number on that, if it can be
// a vendor's.
func vendorRevision(number string) (branch string, n int) {
	i := strings.LastIndexByte(number, '.')
	if strings.Count(number, ".") != 3 || !strings.HasPrefix(number, "1.1.") {
		return "", 0
	}
	n, _ = strconv.Atoi(number[i+1:]) // 0: it is none
	return number[:i], n
}

// vendorFiles finds the files that a vendor's later imports change on the
// trunk. It reports whether that could be found out.
func (s *Source) vendorFiles(ctx context.Context, origins map[revision]origin) (map[string]*vendored, bool, error) {
	files := make(map[string]*vendored)
	for r := range origins {
		if _, n := vendorRevision(r.number); n > 1 {
			files[r.file] = &vendored{until: math.MaxInt}
		}
	}
	if len(files) == 0 {
		return nil, true, nil
	}
	firsts, err := s.firsts(ctx)
	if err != nil {
		return nil, false, err
	}
	prefix, ok := commonPrefix(firsts, origins)
	if !ok {
		return nil, false, nil
	}
	for r, o := range origins {
		f := files[r.file]
		if f == nil {
			continue
		}
		begin := firsts[prefix+r.file]
		f.always = begin.branch != ""
		branch, n := vendorRevision(r.number)
		switch {
		case n > 1 && branch == begin.vendor():
			f.imports = append(f.imports, o)
		case strings.Count(r.number, ".") == 1 && r.number != "1.1":
			f.until = min(f.until, o.order)
		}
	}
	for _, f := range files {
		slices.SortFunc(f.imports, func(a, b origin) int { return cmp.Compare(a.order, b.order) })
		f.imports = slices.DeleteFunc(f.imports, func(o origin) bool { return o.order > f.until && !f.always })
	}
	return files, true, nil
}

// firsts asks how the files began, by their paths on the server.
func (s *Source) firsts(ctx context.Context) (map[string]first, error) {
	firsts := make(map[string]first)
	path, number := "", ""
	lines := meter.Lines(func(line string) {
		f := firsts[path]
		if name, ok := strings.CutPrefix(line, "RCS file: "); ok {
			path, number = serverPath(name), ""
			return
		}
		if branch, ok := strings.CutPrefix(line, "branch: "); ok && number == "" {
			f.branch = strings.TrimSpace(branch)
		}
		if rest, ok := strings.CutPrefix(line, "revision "); ok {
			number, _, _ = strings.Cut(rest, "\t")
		}
		if rest, ok := strings.CutPrefix(line, "date: "); ok {
			at, _, _ := strings.Cut(rest, ";")
			switch {
			case number == "1.1" && f.trunk == "":
				f.trunk = at
			case number == "1.1.1.1" && f.imported == "":
				f.imported = at
			}
		}
		firsts[path] = f
	})
	if err := s.cvs(ctx, lines, "rlog", "-N", "-r1.1,1.1.1.1", "--", s.Module); err != nil {
		return nil, failure(err)
	}
	return firsts, nil
}

// serverPath is where a file lies on the server, wherever it is put when it
// dies.
func serverPath(name string) string {
	return strings.TrimSuffix(strings.Replace(name, "/Attic/", "/", 1), ",v")
}

// commonPrefix is what stands before the paths of git on the server, which is
// the same for all of them.
func commonPrefix(firsts map[string]first, origins map[revision]origin) (string, bool) {
	for r := range origins {
		for path := range firsts {
			prefix, ok := strings.CutSuffix(path, r.file)
			if !ok || prefix != "" && !strings.HasSuffix(prefix, "/") {
				continue
			}
			if allBelow(prefix, firsts, origins) {
				return prefix, true
			}
		}
		return "", false
	}
	return "", false
}

func allBelow(prefix string, firsts map[string]first, origins map[revision]origin) bool {
	for r := range origins {
		if _, ok := firsts[prefix+r.file]; !ok {
			return false
		}
	}
	return true
}
