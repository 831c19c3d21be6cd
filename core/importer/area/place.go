package area

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
)

// maxDirName is how long a directory's name may be, in bytes.
const maxDirName = 255

// Escape is the directory's name for a Lorry: the original's, so that its
// users find the repository where they expect it.
func Escape(name string) string { return strings.ReplaceAll(name, "/", "_") }

// Dir is the directory of a Lorry below root: Escape's or, when that belongs to
// another Lorry or is longer than a file system takes, one that no other name
// comes to. It needs no lock; Open makes sure that the directory stays the
// Lorry's.
func Dir(root, name string) string {
	usual := filepath.Join(root, Escape(name))
	owner := ""
	if len(Escape(name)) <= maxDirName {
		owner = ownerOf(usual)
		if owner == name {
			return usual
		}
	}
	// A directory that once was necessary stays: its history is there.
	apart := filepath.Join(root, apartName(name))
	if owner != "" || len(Escape(name)) > maxDirName || ownerOf(apart) == name {
		return apart
	}
	return usual
}

// apartName is a directory's name of the Lorry's own. No Lorry's name ends in
// .git, so that Escape never comes to it.
func apartName(name string) string {
	sum := sha256.Sum256([]byte(name))
	suffix := "-" + hex.EncodeToString(sum[:6]) + ".git"
	readable := Escape(name)
	readable = strings.ToValidUTF8(readable[:min(len(readable), maxDirName-len(suffix))], "")
	return readable + suffix
}

// ownerOf is the name of the Lorry that a directory belongs to, or "" for one
// that is not there or of an older tool.
func ownerOf(dir string) string {
	text, err := os.ReadFile(filepath.Join(dir, nameName))
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(string(text), "\n")
}
