package archive

import (
	"fmt"
	"io"
	"sort"
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/importer/fastimport"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
)

// Limits bound what an archive may cost. The zero value means DefaultLimits.
type Limits struct {
	Download int64 // bytes of the file itself
	Unpacked int64 // bytes that it unpacks to
	Members  int   // files, links and directories in it
	Ratio    int64 // unpacked bytes for one byte of the file, beyond the first 256 MiB
}

// DefaultLimits are far above any real archive of sources.
func DefaultLimits() Limits {
	return Limits{Download: 16 << 30, Unpacked: 64 << 30, Members: 500_000, Ratio: 200}
}

// ratioFree is how much may be unpacked before the ratio is looked at, in
// bytes: small archives of zeros are harmless.
const ratioFree = 256 << 20

func tooLarge(format string, args ...any) error {
	return gitfail.New(core.FailSpec, gitfail.Upstream, "nothing was changed; if the file is what it should be, mirror it in another form",
		"upstream: the archive is too large: %s", fmt.Sprintf(format, args...))
}

// guard counts what is unpacked and stops at the limit.
type guard struct {
	io.Reader
	read, limit int64
}

// limited guards the reading of a file of the given size.
func (l Limits) limited(r io.Reader, size int64) *guard {
	return &guard{Reader: r, limit: min(l.Unpacked, max(ratioFree, size*l.Ratio))}
}

// Read implements io.Reader.
func (g *guard) Read(p []byte) (int, error) {
	n, err := g.Reader.Read(p)
	if g.read += int64(n); g.read > g.limit {
		return 0, g.over()
	}
	return n, err
}

func (g *guard) over() error { return tooLarge("it unpacks to more than %d bytes", g.limit) }

// blobs takes the contents of files: git fast-import, or nothing in a test.
type blobs interface {
	Blob(size int64, r io.Reader) (mark int, err error)
}

// The modes of git.
const (
	modeFile   = "100644"
	modeScript = "100755"
	modeLink   = "120000"
)

// tree collects the members of an archive.
type tree struct {
	blobs   blobs
	limits  Limits
	guard   *guard
	entries map[string]entry
	dirs    map[string]bool // top directories that were named themselves
	members int
	total   int64 // bytes of all files: a sparse one has more than is read
	newest  int64 // seconds since 1970
	skipped []string
}

type entry struct {
	mode string
	mark int
}

// member counts one more and checks its name.
func (t *tree) member(name string, seconds int64) (string, error) {
	if t.members++; t.members > t.limits.Members {
		return "", tooLarge("it has more than %d members", t.limits.Members)
	}
	if seconds > t.newest {
		t.newest = seconds
	}
	return clean(name)
}

func (t *tree) file(name string, script bool, size, seconds int64, r io.Reader) error {
	path, err := t.member(name, seconds)
	if err != nil {
		return err
	}
	if path == "" {
		return fmt.Errorf("the member %q has no name", name)
	}
	if size < 0 || size > t.guard.limit-t.total {
		return t.guard.over()
	}
	t.total += size
	mark, err := t.blobs.Blob(size, r)
	if err != nil {
		return fmt.Errorf("member %q: %w", name, err)
	}
	mode := modeFile
	if script {
		mode = modeScript
	}
	t.entries[path] = entry{mode, mark}
	return nil
}

func (t *tree) symlink(name, target string, seconds int64) error {
	path, err := t.member(name, seconds)
	if err != nil {
		return err
	}
	base := strings.ToLower(path[strings.LastIndexByte(path, '/')+1:])
	if path == "" || target == "" || len(target) > maxName || strings.ContainsRune(target, 0) || base == ".gitmodules" {
		return fmt.Errorf("the member %q is no usable symbolic link", name)
	}
	mark, err := t.blobs.Blob(int64(len(target)), strings.NewReader(target))
	if err != nil {
		return err
	}
	t.entries[path] = entry{modeLink, mark}
	return nil
}

// hardlink is another name for a member that was there before.
func (t *tree) hardlink(name, target string, seconds int64) error {
	path, err := t.member(name, seconds)
	if err != nil {
		return err
	}
	old, err := clean(target)
	if err != nil {
		return err
	}
	e, ok := t.entries[old]
	if path == "" || !ok {
		return fmt.Errorf("the member %q is a link to %q, which is not there before it", name, target)
	}
	t.entries[path] = e
	return nil
}

// directory takes part in finding the shared top directory; git keeps none
// that is empty.
func (t *tree) directory(name string, seconds int64) error {
	path, err := t.member(name, seconds)
	if err == nil && path != "" {
		top, _, _ := strings.Cut(path, "/")
		t.dirs[top] = true
	}
	return err
}

// skip leaves out what git cannot hold.
func (t *tree) skip(name, what string) error {
	if _, err := t.member(name, 0); err != nil {
		return err
	}
	if len(t.skipped) < 20 {
		t.skipped = append(t.skipped, fmt.Sprintf("%q (%s)", name, what))
	}
	return nil
}

// top is the directory that all members share, with its slash, or "".
func (t *tree) top() string {
	shared := ""
	for path := range t.entries {
		first, _, below := strings.Cut(path, "/")
		if !below || shared != "" && shared != first {
			return ""
		}
		shared = first
	}
	for dir := range t.dirs {
		if dir != shared {
			return ""
		}
	}
	if shared == "" {
		return ""
	}
	return shared + "/"
}

// meet looks for names that are both a directory and something else, of which
// git can hold one: a link is left out, as whoever unpacks the archive finds its
// members behind it; a file is a fault of the archive.
func (t *tree) meet() error {
	dirs := make(map[string]bool)
	for path := range t.entries {
		for i := strings.LastIndexByte(path, '/'); i > 0 && !dirs[path[:i]]; i = strings.LastIndexByte(path[:i], '/') {
			dirs[path[:i]] = true
		}
	}
	for path, e := range t.entries {
		switch {
		case !dirs[path]:
		case e.mode != modeLink:
			return fmt.Errorf("%q is a file and a directory in it", path)
		default:
			delete(t.entries, path)
			t.skipped = append(t.skipped, fmt.Sprintf("%q (a link and a directory)", path))
		}
	}
	sort.Strings(t.skipped)
	return nil
}

// commands gives the commands of git fast-import that make the tree.
func (t *tree) commands() []string {
	top := t.top()
	paths := make([]string, 0, len(t.entries))
	for path := range t.entries {
		paths = append(paths, path)
	}
	sort.Strings(paths)
	list := make([]string, 0, len(paths))
	for _, path := range paths {
		e := t.entries[path]
		list = append(list, fmt.Sprintf("M %s :%d %s\n", e.mode, e.mark, fastimport.Quote(strings.TrimPrefix(path, top))))
	}
	return list
}
