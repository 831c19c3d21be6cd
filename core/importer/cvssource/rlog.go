package cvssource

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/importer/meter"
)

// facts are what a repository says of a module without its contents: every
// change of it changes them.
type facts struct {
	files, total int
	symbols      string // a checksum of all tags and branches of all files
	state        string // a checksum of everything
	branches     map[string]bool
	// tags are checksums of the files and revisions that each is on.
	tags map[string]string
	// tagged are the revisions of the tags, where they are asked for.
	tagged *tagged
}

func (f facts) digest(root, module string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %s", root, module, f.state))
	return hex.EncodeToString(sum[:])
}

// maxTags bounds what is kept of one module.
const maxTags = 100_000

// parse reads the output of cvs rlog -h. It keeps what the tags are on in to, if
// that is not nil.
func parse(r io.Reader, to *tagged) (facts, error) {
	f := facts{branches: make(map[string]bool), tags: make(map[string]string), tagged: to}
	state, symbols, byTag := sha256.New(), sha256.New(), make(map[string]hash.Hash)
	in := bufio.NewScanner(r)
	in.Buffer(make([]byte, 0, 4096), 1<<20)
	file, listing := "", false
	for in.Scan() {
		line := in.Text()
		state.Write([]byte(line + "\n"))
		if name, ok := strings.CutPrefix(line, "RCS file: "); ok {
			// A file moves to the Attic when it dies: its place is no change.
			file, listing = strings.Replace(name, "/Attic/", "/", 1), false
			f.files++
		}
		if text, ok := strings.CutPrefix(line, "total revisions: "); ok {
			count, _, _ := strings.Cut(text, ";")
			n, err := strconv.Atoi(count)
			if err != nil || n < 0 {
				return f, fmt.Errorf("%q is no line of cvs rlog", line)
			}
			f.total += n
		}
		if rest, indented := strings.CutPrefix(line, "\t"); listing && indented {
			name, revision, ok := strings.Cut(rest, ": ")
			if !ok {
				return f, fmt.Errorf("%q is no line of cvs rlog", line)
			}
			fmt.Fprintf(symbols, "%q %q %q\n", file, name, revision)
			if isBranch(revision) {
				f.branches[name] = true
				to.addBranch(file, name, revision)
				continue
			}
			if byTag[name] == nil {
				if len(byTag) == maxTags {
					return f, fmt.Errorf("the module has more than %d tags", maxTags)
				}
				byTag[name] = sha256.New()
			}
			fmt.Fprintf(byTag[name], "%q %q\n", file, revision)
			to.add(file, name, revision)
			continue
		}
		listing = line == "symbolic names:"
	}
	f.state, f.symbols = sum(state), sum(symbols)
	for name, h := range byTag {
		f.tags[name] = sum(h)
	}
	return f, in.Err()
}

func sum(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }

// isBranch knows the numbers of branches: 1.2.0.4, or 1.1.1 for a vendor's.
func isBranch(revision string) bool {
	parts := strings.Split(revision, ".")
	return len(parts)%2 == 1 || len(parts) > 2 && parts[len(parts)-2] == "0"
}

// look asks for the facts, and keeps what the tags are on in to, if that is not
// nil.
func (s *Source) look(ctx context.Context, to *tagged) (facts, error) {
	in, out := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := s.cvs(ctx, out, "rlog", "-h", "--", s.Module)
		_ = out.CloseWithError(err)
		ended <- err
	}()
	f, err := parse(in, to)
	_ = in.CloseWithError(errStop)
	if cerr := <-ended; cerr != nil {
		return f, failure(cerr)
	}
	if err != nil {
		return f, gitfail.New(core.FailOther, gitfail.Upstream, "", "upstream: %v", err)
	}
	if f.total == 0 {
		return f, gitfail.New(core.FailEmpty, gitfail.Upstream, gitfail.Hint(core.FailEmpty, gitfail.Upstream), "upstream: the module %s has no revision", s.Module)
	}
	return f, nil
}

// later counts the revisions that are later than a moment.
func (s *Source) later(ctx context.Context, than time.Time) (int, error) {
	count := 0
	lines := meter.Lines(func(line string) {
		if _, text, ok := strings.Cut(line, ";\tselected revisions: "); ok && strings.HasPrefix(line, "total revisions: ") {
			if n, err := strconv.Atoi(text); err == nil {
				count += n
			}
		}
	})
	err := s.cvs(ctx, lines, "rlog", "-N", "-S", "-d", ">"+than.UTC().Format("2006-01-02 15:04:05 UTC"), "--", s.Module)
	if err != nil {
		return 0, failure(err)
	}
	return count, nil
}
