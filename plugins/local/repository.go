package local

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"os"
	"path"
	"strings"
	"time"

	"github.com/lorry-controller/lorry-controller/sdk"
)

// maxRefDirs is how many directories of refs a change hint looks at. With more,
// there is no hint: it must stay cheap.
const maxRefDirs = 4096

// facts reads what can be known of a repository without git. What can't be read
// is left out.
func (a *Adapter) facts(root *os.Root, dir string) sdk.Repo {
	repo := sdk.Repo{
		Path:        strings.TrimSuffix(dir, ".git"),
		CloneURL:    a.location(a.settings.Path, dir),
		Head:        readHead(root, dir),
		Description: readDescription(root, dir),
	}
	s := scan{root: root, dir: dir, sum: sha256.New()}
	s.run()
	repo.Empty = s.complete && !s.refs
	if s.complete {
		repo.ChangeHint = hex.EncodeToString(s.sum.Sum(nil)[:16])
	}
	return repo
}

// readHead gives the branch that HEAD names, or "".
func readHead(root *os.Root, dir string) string {
	raw, err := readSmall(root, path.Join(dir, "HEAD"), 4096)
	if err != nil {
		return ""
	}
	ref, ok := strings.CutPrefix(strings.TrimSpace(string(raw)), "ref:")
	ref = strings.TrimSpace(ref)
	if !ok || !validRef(ref) || ref == "refs/heads/.invalid" { // .invalid: the refs are elsewhere
		return ""
	}
	return ref
}

// readDescription gives the description, unless it is the one of git's template.
func readDescription(root *os.Root, dir string) string {
	raw, err := readSmall(root, path.Join(dir, "description"), 4096)
	if err != nil || bytes.HasPrefix(raw, []byte("Unnamed repository")) {
		return ""
	}
	return strings.TrimSpace(string(raw))
}

// scan looks at the files that change when a ref does. git replaces a ref's
// file by renaming, which touches its directory.
type scan struct {
	root     *os.Root
	dir      string
	sum      hash.Hash
	dirs     int
	newest   time.Time // of what was looked at
	refs     bool      // there is a ref
	complete bool      // everything could be looked at
}

func (s *scan) run() {
	s.complete = true
	s.stamp("HEAD")
	if packed, err := s.root.Stat(path.Join(s.dir, "packed-refs")); err == nil {
		s.stamp("packed-refs")
		s.refs = packed.Size() > 64 // more than the header
	}
	if _, err := s.root.Stat(path.Join(s.dir, "reftable")); err == nil {
		s.stamp("reftable/tables.list")
		s.refs = true // not told without reading tables
	}
	s.walk("refs")
}

func (s *scan) stamp(name string) {
	if info, err := s.root.Stat(path.Join(s.dir, name)); err == nil {
		_, _ = fmt.Fprintf(s.sum, "%s %d %d\n", name, info.Size(), info.ModTime().UnixNano())
		if info.ModTime().After(s.newest) {
			s.newest = info.ModTime()
		}
	}
}

func (s *scan) walk(dir string) {
	if s.dirs++; s.dirs > maxRefDirs {
		s.complete = false
		return
	}
	s.stamp(dir)
	entries, err := readDir(s.root, path.Join(s.dir, dir))
	if err != nil {
		s.complete = false
		return
	}
	for _, e := range entries {
		if e.IsDir() {
			s.walk(path.Join(dir, e.Name()))
		} else if !strings.HasSuffix(e.Name(), ".lock") {
			s.refs = true
		}
		if !s.complete {
			return
		}
	}
}

// hasRef reports whether a repository has a ref, loose or packed.
func hasRef(root *os.Root, dir, ref string) bool {
	if info, err := root.Stat(path.Join(dir, ref)); err == nil && info.Mode().IsRegular() {
		return true
	}
	const limit = 64 << 20
	packed, err := readSmall(root, path.Join(dir, "packed-refs"), limit)
	return err == nil && bytes.Contains(packed, []byte(" "+ref+"\n"))
}
