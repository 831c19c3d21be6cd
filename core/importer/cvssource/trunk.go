package cvssource

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lorry-controller/lorry-controller/core/importer/fastimport"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
)

// step is one commit of the trunk that is to be made: one of the trunk as it
// is, or one of a vendor's.
type step struct {
	origin
	files map[string]string // "mode object", or "" for what goes, by path
	whole bool              // it has these files and no others
}

// trunkWithVendors puts the vendors' later imports onto the trunk, where a
// checkout has them and cvsps does not. Up to the first of them, the commits stay
// as they are; those after it are told in c.replaced. It says what it does not
// know.
func (s *Source) trunkWithVendors(ctx context.Context, wanted map[string]string, c *converted, dir string) error {
	files, known, err := s.vendorFiles(ctx, c.origins)
	if err != nil {
		return err
	}
	if !known {
		fmt.Fprintln(s.Out, ".. warning: whether master has the files that vendors have imported is not known")
	}
	if len(files) == 0 {
		return nil
	}
	steps, base, err := s.steps(ctx, wanted[master], files, c)
	if err != nil || len(steps) == 0 {
		return err
	}
	made, err := s.remake(ctx, steps, base, dir)
	if err != nil {
		return err
	}
	imports := 0
	for i, one := range steps {
		if one.order < 0 { // of the trunk
			c.replaced[one.commit] = made[i]
		} else {
			imports++
		}
	}
	wanted[master] = made[len(made)-1]
	fmt.Fprintf(s.Out, ".. %d commits of vendors' imports are put onto master, as in a checkout\n", imports)
	return nil
}

// steps are the commits that are to be made, in order, on top of base.
func (s *Source) steps(ctx context.Context, trunk string, files map[string]*vendored, c *converted) (steps []step, base string, err error) {
	changes, err := s.trunkChanges(ctx, trunk)
	if err != nil {
		return nil, "", err
	}
	touched := make(map[string][]string)
	for r, o := range c.origins {
		if files[r.file] != nil {
			touched[o.commit] = append(touched[o.commit], r.file)
		}
	}
	imports, err := s.importSteps(ctx, files)
	if err != nil {
		return nil, "", err
	}
	now := make(map[string]string)   // what the trunk has, as cvsps tells it
	given := make(map[string]string) // what a vendor's import has put there instead
	vendor := func(before int) {
		for ; len(imports) > 0 && imports[0].order < before; imports = imports[1:] {
			one := imports[0]
			for path, entry := range one.files {
				if had, ok := given[path]; ok && had == entry || !ok && objectOf(now[path]) == objectOf(entry) {
					delete(one.files, path)
					continue
				}
				if mode, _, _ := strings.Cut(now[path], " "); entry != "" && mode != "" {
					one.files[path] = mode + " " + objectOf(entry)
				}
				given[path] = entry
			}
			if len(one.files) > 0 {
				steps = append(steps, one)
			}
		}
	}
	for _, one := range changes {
		vendor(c.orders[one.commit])
		maps.Copy(now, one.files)
		for _, path := range touched[one.commit] {
			if _, ok := given[path]; !ok {
				continue
			}
			if files[path].always {
				delete(one.files, path)
				continue
			}
			one.files[path] = now[path] // though it may be what it was before the import
			delete(given, path)
		}
		if len(steps) == 0 {
			base = one.commit
			continue
		}
		one.order = -1
		steps = append(steps, one)
	}
	vendor(int(^uint(0) >> 1))
	return steps, base, nil
}

// objectOf is the object of a file's mode and object.
func objectOf(entry string) string { return entry[strings.IndexByte(entry, ' ')+1:] }

// trunkChanges are the commits of the trunk, the oldest first, and what each
// changes.
func (s *Source) trunkChanges(ctx context.Context, trunk string) ([]step, error) {
	out, err := s.Repo.Git.Output(ctx, s.Repo.Call("log", "-z", "--raw", "--no-abbrev", "--no-renames", "--root", "--reverse", "--first-parent", "--diff-merges=first-parent",
		"--format=commit %H", "--end-of-options", trunk))
	if err != nil {
		return nil, err
	}
	var list []step
	fields := strings.Split(out, "\x00")
	for i := 0; i < len(fields); i++ {
		field := strings.TrimPrefix(fields[i], "\n")
		if commit, ok := strings.CutPrefix(field, "commit "); ok {
			list = append(list, step{origin: origin{commit: commit}, files: make(map[string]string)})
			continue
		}
		words := strings.Fields(field)
		if len(words) != 5 || i+1 == len(fields) || len(list) == 0 {
			continue
		}
		entry := words[1] + " " + words[3]
		if words[4] == "D" {
			entry = ""
		}
		i++
		list[len(list)-1].files[fields[i]] = entry
	}
	return list, nil
}

// importSteps are the commits of vendors that change files on the trunk, the
// oldest first, and what they change there.
func (s *Source) importSteps(ctx context.Context, files map[string]*vendored) ([]step, error) {
	byCommit := make(map[string]*step)
	var asked strings.Builder
	var paths, commits []string
	for _, path := range slices.Sorted(maps.Keys(files)) {
		for _, o := range files[path].imports {
			if byCommit[o.commit] == nil {
				byCommit[o.commit] = &step{origin: o, files: make(map[string]string)}
			}
			byCommit[o.commit].order = min(byCommit[o.commit].order, o.order)
			fmt.Fprintf(&asked, "%s:%s\n", o.commit, path)
			paths, commits = append(paths, path), append(commits, o.commit)
		}
	}
	objects, err := s.blobs(ctx, asked.String())
	if err != nil {
		return nil, err
	}
	for i, path := range paths {
		entry := ""
		if objects[i] != "" {
			entry = "100644 " + objects[i]
		}
		byCommit[commits[i]].files[path] = entry
	}
	list := make([]step, 0, len(byCommit))
	for _, one := range byCommit {
		list = append(list, *one)
	}
	slices.SortFunc(list, func(a, b step) int { return a.order - b.order })
	return list, nil
}

// remake makes the commits anew, one on top of the other, with the authors,
// dates and messages that they have.
func (s *Source) remake(ctx context.Context, steps []step, base, dir string) ([]string, error) {
	marks := filepath.Join(dir, "trunk")
	stream := fastimport.Start(ctx, s.Repo, marks)
	defer stream.Abort()
	for i, one := range steps {
		var object bytes.Buffer
		call := s.Repo.Call("cat-file", "commit", one.commit)
		call.Stdout = &object
		if err := s.Repo.Git.Run(ctx, call); err != nil {
			return nil, err
		}
		head, message, _ := strings.Cut(object.String(), "\n\n")
		fmt.Fprintf(stream, "reset %s\ncommit %s\nmark :%d\n", fastimport.Ref, fastimport.Ref, i+1)
		for line := range strings.Lines(head + "\n") {
			if word, _, _ := strings.Cut(line, " "); word == "author" || word == "committer" || word == "encoding" {
				fmt.Fprint(stream, line)
			}
		}
		fmt.Fprintf(stream, "data %d\n%s\n", len(message), message)
		switch {
		case i > 0:
			fmt.Fprintf(stream, "from :%d\n", i)
		case base != "":
			fmt.Fprintf(stream, "from %s\n", base)
		}
		if one.whole {
			fmt.Fprintln(stream, "deleteall")
		}
		writeFiles(stream, one.files)
	}
	if err := stream.Finish(); err != nil {
		return nil, gitfail.From(err, gitfail.Local)
	}
	return readMarks(marks, len(steps))
}

// writeFiles writes what a commit changes: first what goes, since a directory
// may stand in its place.
func writeFiles(stream *fastimport.Stream, files map[string]string) {
	paths := slices.Sorted(maps.Keys(files))
	for _, path := range paths {
		if files[path] == "" {
			fmt.Fprintf(stream, "D %s\n", fastimport.Quote(path))
		}
	}
	for _, path := range paths {
		if files[path] != "" {
			fmt.Fprintf(stream, "M %s %s\n", files[path], fastimport.Quote(path))
		}
	}
	fmt.Fprintln(stream)
}

// readMarks gives the objects of the marks from 1 to n, in order.
func readMarks(path string, n int) ([]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	made := make([]string, n)
	for line := range strings.Lines(string(text)) {
		var mark int
		var object string
		if n, err := fmt.Sscanf(line, ":%d %s", &mark, &object); err == nil && n == 2 && mark > 0 && mark <= len(made) {
			made[mark-1] = object
		}
	}
	if slices.Contains(made, "") {
		return nil, fmt.Errorf("not everything became a commit")
	}
	return made, nil
}
