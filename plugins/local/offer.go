package local

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/lorry-controller/lorry-controller/sdk"
)

// maxConfig is the largest configuration of a repository that is read.
const maxConfig = 1 << 20

// offer makes a repository ready for the servers on top of the tree, as the
// settings say. What was switched on before and is off now is left alone: an
// admin may have done it by hand.
func (a *Adapter) offer(root *os.Root, dir string) error {
	if a.settings.ExportOK {
		if err := once(root, path.Join(dir, "git-daemon-export-ok"), ""); err != nil {
			return problem(err)
		}
	}
	if !a.settings.ServerInfo {
		return nil
	}
	// git itself writes these after each push then; until the first one, they
	// say that there is nothing.
	for _, name := range []string{"info/refs", "objects/info/packs"} {
		if err := root.MkdirAll(path.Join(dir, path.Dir(name)), 0o755); err != nil {
			return problem(err)
		}
		if err := once(root, path.Join(dir, name), ""); err != nil {
			return problem(err)
		}
	}
	name := path.Join(dir, "config")
	config, err := readSmall(root, name, maxConfig)
	switch {
	case err != nil:
		return problem(err)
	case len(config) == maxConfig:
		return &sdk.Error{Kind: sdk.Conflict, Fact: "the repository's configuration is too long to be changed", Subject: name}
	case strings.Contains(strings.ToLower(string(config)), "updateserverinfo"):
		return nil // chosen already, one way or the other
	}
	config = append(bytes.TrimRight(config, "\n"), "\n[receive]\n\tupdateServerInfo = true\n"...)
	return replace(root, name, string(config))
}

// once makes a file unless it is there.
func once(root *os.Root, name, content string) error {
	if err := write(root, name, content, os.O_EXCL); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}
