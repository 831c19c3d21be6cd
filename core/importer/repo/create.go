package repo

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

const (
	configText = "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n"
	// longConfigText is for objects that are named by SHA-256.
	longConfigText = "[core]\n\trepositoryformatversion = 1\n\tfilemode = true\n\tbare = true\n[extensions]\n\tobjectformat = sha256\n"
)

// created are the directories of a new repository.
func created() []string {
	return []string{"objects", "objects/info", "objects/pack", "refs", "refs/heads", "refs/tags"}
}

// Create makes the repository, empty, as git init --bare without a template
// does. HEAD comes last: without it git takes the directory for none.
func (r *Repo) Create() error { return r.create(configText) }

// CreateLike does the same for objects that are named as those of another
// repository are.
func (r *Repo) CreateLike(other *Repo) error {
	long, err := other.LongNames()
	if err != nil {
		return err
	}
	if long {
		return r.create(longConfigText)
	}
	return r.Create()
}

func (r *Repo) create(config string) error {
	for _, sub := range created() {
		if err := os.MkdirAll(filepath.Join(r.Dir, sub), 0o755); err != nil {
			return err
		}
	}
	for _, file := range [][2]string{{"config", config}, {"HEAD", "ref: refs/heads/main\n"}} {
		if err := os.WriteFile(filepath.Join(r.Dir, file[0]), []byte(file[1]), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// HalfMade reports whether somebody died while Create made a repository at a
// place: there is something, and nothing but what is made before HEAD.
func HalfMade(dir string) bool {
	made := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name, err := filepath.Rel(dir, path)
		made++
		if err != nil || d.IsDir() && slices.Contains(created(), name) {
			return err
		}
		if name != "config" || !d.Type().IsRegular() {
			return errForeign
		}
		text, err := os.ReadFile(path)
		if err == nil && !strings.HasPrefix(configText, string(text)) && !strings.HasPrefix(longConfigText, string(text)) {
			return errForeign
		}
		return err
	})
	return err == nil && made > 0
}

var errForeign = errors.New("somebody else made it")

// LongNames reports whether the repository names its objects by SHA-256.
func (r *Repo) LongNames() (bool, error) {
	config, err := os.ReadFile(filepath.Join(r.Dir, "config"))
	return sha256Names.Match(config), err
}

// sha256Names finds what git init and git clone write for SHA-256.
var sha256Names = regexp.MustCompile(`(?im)^\s*objectformat\s*=\s*"?sha256`)
