// Package lfs brings the objects of git-lfs along with a mirror: it looks for
// pointers in what is new, asks the Downstream Host which objects it lacks,
// fetches those from upstream and hands them over before any ref is pushed.
// It speaks the batch API and the basic transfers of
// https://github.com/git-lfs/git-lfs/tree/main/docs, and copies between
// repositories on this machine.
//
// It must not change a ref, and never sends a credential to another host than
// the one it is for.
package lfs

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
)

// Pointer names an object of git-lfs.
type Pointer struct {
	OID  string // sha256 of the contents, in lower-case hex
	Size int64  // in bytes
	// Path is where it was first seen, for people.
	Path string
}

// maxPointer bounds the text of a pointer, in bytes: the specification's rule.
const maxPointer = 1024

// minPointer is less than any pointer takes, in bytes.
const minPointer = len("version ") + len("oid ") + 64 + len("size 0")

// versions are the first lines of pointers: today's, and two of the time before
// the program had its name, which git-lfs still reads.
func versions() []string {
	return []string{"https://git-lfs.github.com/spec/v1", "https://hawser.github.com/spec/v1", "http://git-media.io/v/2"}
}

var oidForm = regexp.MustCompile(`^[0-9a-f]{64}$`)

// ParsePointer reads the text of a pointer. What is none is an ordinary file.
// It takes all that git-lfs does, which writes pointers in one form and reads
// them with spaces around, empty lines and the line ends of Windows.
func ParsePointer(text []byte) (Pointer, bool) {
	if len(text) >= maxPointer {
		return Pointer{}, false
	}
	text = bytes.TrimSpace(text)
	if !bytes.HasPrefix(text, []byte("version ")) {
		return Pointer{}, false
	}
	p, known := Pointer{Size: -1}, false
	for line := range strings.SplitSeq(string(text), "\n") {
		if line = strings.TrimSuffix(line, "\r"); line == "" {
			continue
		}
		key, value, ok := strings.Cut(line, " ")
		if !ok || key == "" {
			return Pointer{}, false
		}
		switch key {
		case "version":
			for _, v := range versions() {
				known = known || v == value
			}
		case "oid":
			p.OID = strings.TrimPrefix(value, "sha256:")
		case "size":
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				return Pointer{}, false
			}
			p.Size = n
		}
	}
	return p, known && oidForm.MatchString(p.OID) && p.Size >= 0
}

// Text is the pointer as git keeps it.
func (p Pointer) Text() string {
	return "version " + versions()[0] + "\noid sha256:" + p.OID + "\nsize " + strconv.FormatInt(p.Size, 10) + "\n"
}
