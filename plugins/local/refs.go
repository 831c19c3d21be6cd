package local

import (
	"bufio"
	"bytes"
	"crypto/sha1" //nolint:gosec // the format's choice: it tells whether something changed, not who changed it
	"encoding/hex"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
)

// maxPackedRefs is the largest file of packed refs that is read.
const maxPackedRefs = 256 << 20

// refsOf gives the object of every ref of a repository, by its full name. It
// reports false when the refs can't be read without git.
func refsOf(root *os.Root, dir string) (map[string]string, bool) {
	if _, err := root.Stat(path.Join(dir, "reftable")); err == nil {
		return nil, false
	}
	refs := map[string]string{}
	packed, err := readSmall(root, path.Join(dir, "packed-refs"), maxPackedRefs)
	if err != nil && !os.IsNotExist(err) {
		return nil, false
	}
	for lines := bufio.NewScanner(bytes.NewReader(packed)); lines.Scan(); {
		// "# pack-refs …" and "^OBJECT", which a tag leads to, are no refs.
		object, ref, ok := strings.Cut(lines.Text(), " ")
		if ok && isObject(object) && strings.HasPrefix(ref, "refs/") {
			refs[ref] = object
		}
	}
	symbolic := map[string]string{}
	if !looseRefs(root, dir, "refs", refs, symbolic) {
		return nil, false
	}
	for ref, target := range symbolic {
		delete(refs, ref) // it may be packed from the time before
		if object, there := refs[target]; there {
			refs[ref] = object
		}
	}
	return refs, true
}

// looseRefs adds the refs that are files of their own; they come before packed
// ones.
func looseRefs(root *os.Root, dir, sub string, refs, symbolic map[string]string) bool {
	entries, err := readDir(root, path.Join(dir, sub))
	if err != nil {
		return false
	}
	for _, e := range entries {
		name := path.Join(sub, e.Name())
		if e.IsDir() {
			if !looseRefs(root, dir, name, refs, symbolic) {
				return false
			}
			continue
		}
		raw, err := readSmall(root, path.Join(dir, name), 4096)
		if err != nil || strings.HasSuffix(name, ".lock") {
			continue // it went while we looked, or is being made
		}
		text := strings.TrimSpace(string(raw))
		if target, ok := strings.CutPrefix(text, "ref:"); ok {
			symbolic[name] = strings.TrimSpace(target)
		} else if isObject(text) {
			refs[name] = text
		}
	}
	return true
}

func isObject(s string) bool {
	_, err := hex.DecodeString(s)
	return err == nil && (len(s) == 40 || len(s) == 64)
}

// fingerprint is the digest of what "git show-ref" prints, as grokmirror has it.
func fingerprint(refs map[string]string) string {
	sum := sha1.New() //nolint:gosec // see above
	for _, ref := range slices.Sorted(maps.Keys(refs)) {
		_, _ = sum.Write([]byte(refs[ref] + " " + ref + "\n"))
	}
	return hex.EncodeToString(sum.Sum(nil))
}
