package confgit

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/childproc"
	"github.com/lorry-controller/lorry-controller/core/spec"
)

// StarterOptions say what the starter CONFGIT is to mirror.
type StarterOptions struct {
	Git *childproc.Git
	// Dir is the bare repository to make or to add to.
	Dir string
	// Mirrors are URLs or paths of repositories.
	Mirrors []string
	// UpstreamDirs are directories of bare repositories.
	UpstreamDirs []string
	// Checkout is a directory whose git repository is mirrored when nothing
	// else was named; when it has none that is complete, a sample is made.
	Checkout string
	// Sample is where that sample repository goes.
	Sample string
	Now    core.Clock
}

// Starter is what MakeStarter made.
type Starter struct {
	// FileRoots are the paths on this machine that were named now or before,
	// and so may be read.
	FileRoots []string
	// Added are the downstream paths, or the hosts, that were added now.
	Added []string
}

// rootsFile keeps the paths that were named, beside git's own files: what is
// in the repository can be changed by whoever may push to it.
const rootsFile = "lorry-file-roots"

// MakeStarter makes the CONFGIT of a new installation, or adds what it does
// not have yet as one commit. Files that are there are never changed, but for
// sections that are put at the end of lorry-controller.conf.
func MakeStarter(ctx context.Context, o StarterOptions) (Starter, error) {
	o.Dir = absolutePath(o.Dir)
	s := &starter{opts: o, tree: overlay{files: map[string][]byte{}}}
	if err := s.open(ctx); err != nil {
		return Starter{}, fmt.Errorf("the starter CONFGIT at %q can't be made: %w", o.Dir, err)
	}
	mirrors, dirs, err := s.wanted(ctx)
	if err != nil {
		return Starter{}, err
	}
	for _, mirror := range mirrors {
		if err := s.addMirror(ctx, mirror); err != nil {
			return Starter{}, err
		}
	}
	for _, dir := range dirs {
		if err := s.addUpstream(ctx, dir); err != nil {
			return Starter{}, err
		}
	}
	if err := s.commit(ctx); err != nil {
		return Starter{}, fmt.Errorf("the starter CONFGIT at %q can't be changed: %w", o.Dir, err)
	}
	if err := s.saveRoots(); err != nil {
		return Starter{}, fmt.Errorf("the starter CONFGIT at %q can't be changed: %w", o.Dir, err)
	}
	return Starter{FileRoots: s.roots, Added: s.added}, nil
}

type starter struct {
	opts   StarterOptions
	branch string
	tree   overlay
	added  []string
	roots  []string
	known  []string // roots that were saved already
}

// overlay is a Tree with files put over another.
type overlay struct {
	below Tree // nil: nothing
	files map[string][]byte
}

// List implements Tree.
func (t overlay) List(ctx context.Context) ([]string, error) {
	var paths []string
	if t.below != nil {
		var err error
		if paths, err = t.below.List(ctx); err != nil {
			return nil, err
		}
	}
	for name := range t.files {
		paths = append(paths, name)
	}
	slices.Sort(paths)
	return slices.Compact(paths), nil
}

// Read implements Tree.
func (t overlay) Read(ctx context.Context, paths []string, most int, see func(path string, data []byte)) error {
	over := func(path string, data []byte) {
		if put, there := t.files[path]; there {
			data = put
		}
		see(path, data)
	}
	if t.below != nil {
		return t.below.Read(ctx, paths, most, over)
	}
	for _, path := range paths {
		over(path, nil)
	}
	return nil
}

// open makes the repository if need be and finds what it has.
func (s *starter) open(ctx context.Context) error {
	git, dir := s.opts.Git, s.opts.Dir
	if _, err := os.Stat(filepath.Join(dir, "HEAD")); err != nil {
		if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
			return fmt.Errorf("there is something else in that directory")
		}
		if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
			return err
		}
		if err := git.Run(ctx, childproc.GitCall{Args: []string{"init", "--quiet", "--bare", "--", dir}}); err != nil {
			return err
		}
	}
	head, err := git.Output(ctx, childproc.GitCall{GitDir: dir, Args: []string{"symbolic-ref", "--", "HEAD"}})
	if err != nil {
		return err
	}
	s.branch = strings.TrimSpace(head)
	commit, err := git.Output(ctx, childproc.GitCall{GitDir: dir, Args: []string{"for-each-ref", "--format=%(objectname)", "--", s.branch}})
	if err != nil {
		return err
	}
	if commit = strings.TrimSpace(commit); commit != "" {
		s.tree.below = gitTree{git: git, dir: dir, commit: commit}
	} else {
		s.tree.files[ConfFile] = []byte(starterConf)
		s.tree.files["README.md"] = []byte(starterReadme)
		s.tree.files["examples/example.lorry"] = []byte(starterExample)
	}
	data, err := os.ReadFile(filepath.Join(dir, rootsFile))
	if err == nil {
		s.known = splitLines(string(data))
	} else if !os.IsNotExist(err) {
		return err
	}
	s.roots = slices.Clone(s.known)
	return nil
}

func splitLines(text string) []string {
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimRight(line, "\n"); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// wanted gives the addresses to mirror: those that were named or, in a new
// CONFGIT, the checkout or a sample.
func (s *starter) wanted(ctx context.Context) (mirrors, dirs []string, err error) {
	for _, mirror := range s.opts.Mirrors {
		address, err := mirrorAddress(mirror)
		if err != nil {
			return nil, nil, err
		}
		mirrors = append(mirrors, address)
	}
	for _, dir := range s.opts.UpstreamDirs {
		dir = absolutePath(dir)
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			return nil, nil, core.Errorf(core.KindInvalid, "--upstream-dir %q: there is no such directory", dir)
		}
		dirs = append(dirs, dir)
	}
	if len(mirrors)+len(dirs) > 0 || s.tree.below != nil {
		return mirrors, dirs, nil
	}
	top, ok := checkout(ctx, s.opts.Git, s.opts.Checkout)
	if _, err := mirrorAddress(top); !ok || err != nil {
		if top, err = makeSample(ctx, s.opts.Git, s.opts.Sample, s.opts.Now()); err != nil {
			return nil, nil, fmt.Errorf("the sample repository at %q can't be made: %w", s.opts.Sample, err)
		}
	}
	return []string{top}, nil, nil
}

// mirrorAddress checks what --mirror names. It must hold no credential, for it
// is written into the repository.
func mirrorAddress(mirror string) (string, error) {
	if !strings.Contains(mirror, "://") {
		if _, err := os.Stat(mirror); err == nil {
			mirror = absolutePath(mirror)
		}
	}
	access, err := spec.ParseAddress(spec.Git, mirror)
	switch {
	case err != nil:
		return "", core.Errorf(core.KindInvalid, "--mirror: %w", err)
	case !access.Secret.Empty():
		return "", core.Errorf(core.KindInvalid, "--mirror %q: the URL must not have a password or token in it", access.URL)
	}
	return access.URL, nil
}

// config reads what the CONFGIT says with the files added so far.
func (s *starter) config(ctx context.Context) (*Config, error) {
	c, err := Parse(ctx, s.tree, "", Rules{})
	if err != nil {
		return nil, fmt.Errorf("the starter CONFGIT at %q can't be added to: %w", s.opts.Dir, err)
	}
	return c, nil
}

// addMirror adds a .lorry file for an address that no Lorry has yet.
func (s *starter) addMirror(ctx context.Context, address string) error {
	s.root(strings.TrimPrefix(address, "file://"))
	c, err := s.config(ctx)
	if err != nil || lorryOf(c, address) != "" {
		return err
	}
	paths, err := s.tree.List(ctx)
	if err != nil {
		return err
	}
	taken := func(name string) bool {
		return slices.Contains(paths, mirrorFile(name)) || slices.ContainsFunc(c.Lorries, func(l core.Lorry) bool { return l.Path == name })
	}
	name := free(mirrorName(address), taken)
	text, err := indented(map[string]any{name: map[string]any{"type": "git", "url": address}}, "")
	if err != nil {
		return err
	}
	s.tree.files[mirrorFile(name)] = append(text, '\n')
	s.added = append(s.added, name)
	if c, err = s.config(ctx); err != nil || lorryOf(c, address) != "" {
		return err
	}
	// Nothing in lorry-controller.conf names the file any more.
	return s.addSection(ctx, map[string]any{"type": "lorries", "interval": "10m", "prefix": "", "globs": []string{"mirrors/*.lorry"}})
}

func mirrorFile(name string) string {
	return "mirrors/" + strings.ReplaceAll(name, "/", "-") + ".lorry"
}

// addUpstream adds a section for a directory that no section has yet.
func (s *starter) addUpstream(ctx context.Context, dir string) error {
	s.root(dir)
	c, err := s.config(ctx)
	if err != nil || slices.ContainsFunc(c.Hosts, func(h core.Host) bool { return h.Type == "local" && h.Settings["path"] == dir }) {
		return err
	}
	name := safeName(filepath.Base(dir))
	if name == "" {
		name = "upstream"
	}
	name = free(name, func(name string) bool {
		return slices.ContainsFunc(c.Hosts, func(h core.Host) bool { return h.Name == name })
	})
	s.added = append(s.added, name)
	return s.addSection(ctx, map[string]any{
		"type": "local", "host": name, "path": dir, "prefixmap": map[string]string{"": name}, "ls-interval": "5m", "interval": "10m",
	})
}

// addSection puts a section at the end of lorry-controller.conf and leaves the
// rest of its text as it is.
func (s *starter) addSection(ctx context.Context, section map[string]any) error {
	contents, err := readAll(ctx, s.tree, ConfFile)
	if err != nil {
		return err
	}
	text, there := contents[ConfFile]
	if !there {
		text = []byte("[]")
	}
	top, broken := parseJSON(text)
	if broken != nil || top.kind != listValue {
		return fmt.Errorf("the starter CONFGIT at %q: %s can't be read, so nothing can be added", s.opts.Dir, ConfFile)
	}
	end := bytes.LastIndexByte(text, ']')
	added, err := indented(section, "    ")
	if err != nil {
		return err
	}
	var out bytes.Buffer
	out.Write(bytes.TrimRight(text[:end], " \t\r\n"))
	if len(top.items) > 0 {
		out.WriteByte(',')
	}
	fmt.Fprintf(&out, "\n    %s\n]\n", added)
	s.tree.files[ConfFile] = out.Bytes()
	return nil
}

// indented writes JSON; prefix stands before each line but the first.
func indented(v any, prefix string) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent(prefix, "    ")
	err := enc.Encode(v)
	return bytes.TrimRight(out.Bytes(), "\n"), err
}

// root notes a path that was named.
func (s *starter) root(path string) {
	if strings.HasPrefix(path, "/") && !strings.Contains(path, "\n") && !slices.Contains(s.roots, path) {
		s.roots = append(s.roots, path)
	}
}

func (s *starter) saveRoots() error {
	if slices.Equal(s.roots, s.known) {
		return nil
	}
	return os.WriteFile(filepath.Join(s.opts.Dir, rootsFile), []byte(strings.Join(s.roots, "\n")+"\n"), 0o600)
}

// commit writes the files as one commit, if there are any.
func (s *starter) commit(ctx context.Context) error {
	if len(s.tree.files) == 0 {
		return nil
	}
	message := "Begin"
	if len(s.added) > 0 {
		message = "Mirror " + strings.Join(s.added, ", ")
	}
	from := ""
	if s.tree.below != nil {
		from = s.branch + "^0"
	}
	var names []string
	for name := range s.tree.files {
		names = append(names, name)
	}
	slices.Sort(names)
	var stream bytes.Buffer
	writeCommit(&stream, s.branch, from, message, s.opts.Now())
	for _, name := range names {
		writeFile(&stream, name, s.tree.files[name])
	}
	return s.opts.Git.Run(ctx, childproc.GitCall{GitDir: s.opts.Dir, Args: []string{"fast-import", "--quiet"}, Stdin: &stream})
}
