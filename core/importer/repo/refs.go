package repo

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// errUnusual says that git itself is to read the refs.
var errUnusual = errors.New("the refs are not kept in the plain way")

// readRefs reads the refs of a repository as git's files backend keeps them:
// one file each, and packed-refs for those that have none. It saves a process.
// Whatever it does not know for sure is errUnusual.
//
// Files come first: a ref that is packed meanwhile is then found in one place
// at least.
func readRefs(dir string) (map[string]string, error) {
	for _, name := range []string{"reftable", "commondir"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
			return nil, errUnusual
		}
	}
	refs := make(map[string]string)
	err := filepath.WalkDir(filepath.Join(dir, "refs"), func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist) && d != nil && d.IsDir() && filepath.Base(path) != "refs":
			return nil // it went away meanwhile, since it was empty
		case err != nil:
			return err
		case strings.HasPrefix(d.Name(), "."):
			return errUnusual
		case d.IsDir(), strings.HasSuffix(d.Name(), ".lock"):
			return nil
		case !d.Type().IsRegular():
			return errUnusual
		}
		object, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // deleted or packed meanwhile
		}
		if err != nil {
			return err
		}
		return addRef(refs, strings.TrimSuffix(string(object), "\n"), filepath.ToSlash(path[len(dir)+1:]))
	})
	if err != nil {
		return nil, err
	}
	return refs, readPacked(filepath.Join(dir, "packed-refs"), refs)
}

// readPacked adds those that are not there.
func readPacked(path string, refs map[string]string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	in := bufio.NewScanner(f)
	for in.Scan() {
		line := in.Text()
		if strings.HasPrefix(line, "#") || strings.HasPrefix(line, "^") {
			continue
		}
		object, name, ok := strings.Cut(line, " ")
		if !ok || !strings.HasPrefix(name, "refs/") {
			return errUnusual
		}
		if refs[name] != "" {
			continue
		}
		if err := addRef(refs, object, name); err != nil {
			return err
		}
	}
	return in.Err()
}

func addRef(refs map[string]string, object, name string) error {
	if len(object) != 40 && len(object) != 64 || strings.Trim(object, "0123456789abcdef") != "" || strings.Trim(object, "0") == "" || !PlainName(name) {
		return fmt.Errorf("%s: %w", name, errUnusual)
	}
	refs[name] = object
	return nil
}

// ValidName reports whether git takes a full name of a ref, by the rules of
// git-check-ref-format(1).
func ValidName(name string) bool {
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c == 0x7f || strings.IndexByte(`~^:?*[\`, c) >= 0 {
			return false
		}
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".lock") {
			return false
		}
	}
	return strings.Contains(name, "/") && !strings.Contains(name, "..") && !strings.Contains(name, "@{") && !strings.HasSuffix(name, ".")
}

// The longest names that file systems take for git, which adds ".lock" to a part
// and the repository's path to the whole.
const (
	maxPart = 250
	maxName = 3000
)

// TooLong reports whether no file can have the name of a ref.
func TooLong(name string) bool {
	for part := range strings.SplitSeq(name, "/") {
		if len(part) > maxPart {
			return true
		}
	}
	return len(name) > maxName
}

// PlainName knows the names that no version of git objects to; what is odd about
// the others is for git to say.
func PlainName(name string) bool {
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c == 0x7f || strings.IndexByte(`~^:?*[\`, c) >= 0 {
			return false
		}
	}
	for _, odd := range []string{"..", "@{", "//", "/.", "./", ".lock/"} {
		if strings.Contains(name, odd) {
			return false
		}
	}
	return !strings.HasSuffix(name, ".") && !strings.HasSuffix(name, ".lock") && !strings.HasSuffix(name, "/")
}
