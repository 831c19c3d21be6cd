package workcopy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/childproc"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/importer/repo"
)

// errConverted marks what a conversion made: it says nothing of the copy.
var errConverted = errors.New("a converted object is broken")

// verify looks at every object that leads from wanted and not from before, as
// git does with what it fetches: a converter may have been told to write what
// harms others. The error is a *gitfail.Error.
func (c *Copy) verify(ctx context.Context, before, wanted map[string]string) error {
	var revs strings.Builder
	for name, object := range wanted {
		if before[name] != object {
			revs.WriteString(object + "\n")
		}
	}
	if revs.Len() == 0 {
		return nil
	}
	for _, object := range before {
		revs.WriteString("^" + object + "\n")
	}
	dir, err := c.Area.Temp()
	if err != nil {
		return gitfail.From(err, gitfail.Local)
	}
	defer func() { _ = repo.Remove(dir) }()
	target := &repo.Repo{Dir: filepath.Join(dir, "git"), Git: c.Repo.Git, Files: c.Repo.Files}
	err = target.Create()
	if err == nil {
		// What is there already is not looked at again.
		err = os.WriteFile(filepath.Join(target.Dir, "objects", "info", "alternates"), []byte(filepath.Join(c.Repo.Dir, "objects")+"\n"), 0o644)
	}
	if err == nil {
		err = c.examine(ctx, target, revs.String())
	}
	var exit *childproc.ExitError
	if errors.As(err, &exit) && exit.Err == nil {
		if line := faultLine(exit.Stderr); line != "" {
			e := gitfail.New(core.FailCorrupt, gitfail.Upstream, "nothing was changed; what upstream holds would harm those who check it out, or git cannot hold it", "upstream: its conversion gives a broken object: %s", line)
			e.Err = fmt.Errorf("%w: %w", errConverted, err)
			return e
		}
	}
	if err != nil {
		return gitfail.From(err, gitfail.Local)
	}
	return nil
}

// examine packs the objects once more and has git index the pack strictly.
func (c *Copy) examine(ctx context.Context, target *repo.Repo, revs string) error {
	in, out := io.Pipe()
	packed := make(chan error, 1)
	go func() {
		call := c.Repo.Call("pack-objects", "--revs", "--stdout", "--thin", "--delta-base-offset", "-q")
		call.Stdin, call.Stdout = strings.NewReader(revs), out
		err := c.Repo.Git.Run(ctx, call)
		_ = out.CloseWithError(err)
		packed <- err
	}()
	faults := make([]string, 0, 16)
	for _, id := range childproc.ToleratedFaults() {
		faults = append(faults, id+"=warn")
	}
	call := target.Call("index-pack", "--stdin", "--fix-thin", "--strict="+strings.Join(faults, ","))
	call.Stdin = in
	call.Config = []childproc.Setting{{Key: "core.fsync", Value: "none"}}
	err := target.Git.Run(ctx, call)
	_ = in.CloseWithError(errors.New("git index-pack has ended"))
	if perr := <-packed; perr != nil && err == nil {
		err = perr
	}
	if err != nil {
		return fmt.Errorf("checking what was converted: %w", err)
	}
	return nil
}

// faultLine is the line of git that names the fault, or "".
func faultLine(text string) string {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, "error: object "); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}
