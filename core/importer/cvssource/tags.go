package cvssource

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lorry-controller/lorry-controller/core/importer/fastimport"
)

// revisionsName is a file of git cvsimport's: each revision and its commit.
const revisionsName = "cvs-revisions"

// maxTagged bounds how many revisions of how many tags are kept in memory.
const maxTagged = 16 << 20

// tagged are the revisions that each tag is on.
type tagged struct {
	revisions []revision
	tags      map[string][]int32 // places in revisions
	branches  map[string]*branch
	ofBranch  map[revision]string // the branches' names, by file and number
	entries   int
	ofFile    map[string]int32 // of the file that was added to last
}

func newTagged() *tagged {
	return &tagged{tags: make(map[string][]int32), branches: make(map[string]*branch), ofBranch: make(map[revision]string)}
}

type revision struct{ file, number string }

func (t *tagged) add(file, tag, number string) {
	if t == nil || t.entries > maxTagged {
		return
	}
	t.entries++
	t.tags[tag] = append(t.tags[tag], t.place(file, number))
}

// place gives the place of a revision. All of one file are asked for in a row.
func (t *tagged) place(file, number string) int32 {
	if n := len(t.revisions); n == 0 || t.revisions[n-1].file != file {
		t.ofFile = make(map[string]int32)
	}
	at, ok := t.ofFile[number]
	if !ok {
		at = int32(len(t.revisions))
		t.ofFile[number] = at
		t.revisions = append(t.revisions, revision{file, number})
	}
	return at
}

// origin is the commit that brought a revision, and its place in their order.
type origin struct {
	commit string
	order  int
}

// contents tell one thing of each file of a commit, by its path: its object, say.
type contents map[string]string

// own is a commit that is to be made of a tag, or of the beginning of a branch,
// that fits no other.
type own struct {
	kind, name, base string
	files            contents
}

// exact gives every tag a commit with exactly the files that the tag is on:
// cvsps gives the first that is late enough, whatever else is in it, and none to
// a tag that shares one. Of commits that were replaced, both may be it.
func (s *Source) exact(ctx context.Context, wanted map[string]string, now facts, c *converted, dir string) error {
	groups := make(map[string][]string) // tags on the same revisions
	for _, tag := range slices.Sorted(maps.Keys(now.tags)) {
		groups[now.tags[tag]] = append(groups[now.tags[tag]], tag)
	}
	var odd []own
	missing := []string{}
	for _, sum := range slices.Sorted(maps.Keys(groups)) {
		names := groups[sum]
		one, ok := c.expected(names[0], now.tagged.tags[names[0]])
		ok = ok && len(one.files) > 0
		fits, err := "", error(nil)
		if ok {
			fits, err = s.fitting(ctx, wanted, names, one, c.replaced)
		}
		if err != nil {
			return err
		}
		for _, name := range names {
			delete(wanted, tags+name)
			if fits != "" {
				wanted[tags+name] = fits
			}
		}
		switch {
		case !ok:
			missing = append(missing, names...)
		case fits == "":
			one.base = cmp.Or(c.replaced[one.base], one.base)
			// One for each: a tag that is added later is not to change those.
			for _, one.name = range names {
				odd = append(odd, one)
			}
		}
	}
	s.tellMissing(missing)
	if len(odd) > 0 {
		fmt.Fprintf(s.Out, ".. %d tags fit no single commit and get one of their own, such as %s\n", len(odd), odd[0].name)
	}
	made, err := s.commits(ctx, odd, wanted[master], dir)
	for i, object := range made {
		wanted[tags+odd[i].name] = object
	}
	return err
}

// fitting looks for a commit with exactly the files of tags: one that cvsps gives
// one of them, or else the newest that brought one of the files. "": there is
// none.
func (s *Source) fitting(ctx context.Context, wanted map[string]string, names []string, one own, replaced map[string]string) (string, error) {
	var candidates []string
	for _, name := range names {
		candidates = append(candidates, replaced[wanted[tags+name]], wanted[tags+name])
	}
	for _, object := range append(candidates, replaced[one.base], one.base) {
		if object == "" {
			continue
		}
		got, _, err := s.contents(ctx, object)
		if err != nil {
			return "", err
		}
		if maps.Equal(got, one.files) {
			return object, nil
		}
	}
	return "", nil
}

// readOrigins reads what git cvsimport has written of the revisions.
func readOrigins(path string) (map[revision]origin, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	origins := make(map[revision]origin)
	in := bufio.NewScanner(f)
	for in.Scan() {
		words := strings.Split(in.Text(), " ")
		if n := len(words); n > 2 {
			origins[revision{strings.Join(words[:n-2], " "), words[n-2]}] = origin{words[n-1], len(origins)}
		}
	}
	return origins, in.Err()
}

// resolved is a revision's path in git and where it came from.
type resolved struct {
	path, number string
	origin
}

// resolve finds the revisions' origins. rlog gives paths on the server: what
// stands before the path in git, which it gives too, is the same for all files.
// nil: it is not.
func (t *tagged) resolve(origins map[revision]origin) (string, []resolved) {
	known := make(map[string]bool, len(origins))
	for r := range origins {
		known[r.file] = true
	}
	if len(t.revisions) == 0 {
		return "", []resolved{}
	}
	for first := serverPath(t.revisions[0].file); ; {
		_, rest, ok := strings.Cut(first, "/")
		if !ok {
			return "", nil
		}
		first = rest
		prefix := strings.TrimSuffix(serverPath(t.revisions[0].file), first)
		list := make([]resolved, len(t.revisions))
		for i, r := range t.revisions {
			path, below := strings.CutPrefix(serverPath(r.file), prefix)
			if !below || !known[path] {
				list = nil
				break
			}
			list[i] = resolved{path, r.number, origins[revision{path, r.number}]}
		}
		if list != nil {
			return prefix, list
		}
	}
}

// blobs asks for the objects of lines such as "COMMIT:PATH"; "" for what is no
// file.
func (s *Source) blobs(ctx context.Context, asked string) ([]string, error) {
	call := s.Repo.Call("cat-file", "--batch-check=%(objectname) %(objecttype)", "--buffer")
	call.Stdin = strings.NewReader(asked)
	out, err := s.Repo.Git.Output(ctx, call)
	if err != nil {
		return nil, err
	}
	var objects []string
	for line := range strings.Lines(out) {
		object, blob := strings.CutSuffix(line, " blob\n")
		if !blob {
			object = ""
		}
		objects = append(objects, object)
	}
	if n := strings.Count(asked, "\n"); len(objects) != n {
		return nil, fmt.Errorf("git told of %d of %d revisions", len(objects), n)
	}
	return objects, nil
}

// expected gives the files of a tag, or of the beginning of a branch, which is
// on these revisions, and their newest commit. It fails where one is not to be
// had.
func (c *converted) expected(name string, places []int32) (own, bool) {
	o, newest := own{kind: "tag", name: name, files: make(contents)}, -1
	for _, at := range places {
		switch r := c.from[at]; {
		case r.commit == "" && r.number == "1.1": // dead, since the file was first added on a branch
		case r.commit == "":
			return own{}, false
		case c.objects[at] == "": // dead
		default:
			o.files[r.path] = c.objects[at]
			if r.order > newest {
				newest, o.base = r.order, r.commit
			}
		}
	}
	return o, true
}

// contents lists a commit, and the modes of its files.
func (s *Source) contents(ctx context.Context, commit string) (files, modes contents, err error) {
	out, err := s.Repo.Git.Output(ctx, s.Repo.Call("ls-tree", "-r", "-z", "--full-tree", "--end-of-options", commit))
	files, modes = make(contents), make(contents)
	for entry := range strings.SplitSeq(out, "\x00") {
		if facts, path, ok := strings.Cut(entry, "\t"); ok {
			modes[path], files[path] = facts[:strings.IndexByte(facts, ' ')], facts[strings.LastIndexByte(facts, ' ')+1:]
		}
	}
	return files, modes, err
}

const identity = "Lorry CVS Importer <lorry-cvs-importer@lorry>"

// commits makes the tags' own commits, on top of the newest that each has a
// file of, and gives them in order. A file that is not there has the mode that
// it has on the trunk.
func (s *Source) commits(ctx context.Context, list []own, trunk, dir string) ([]string, error) {
	if len(list) == 0 {
		return nil, nil
	}
	_, trunkModes, err := s.contents(ctx, trunk)
	if err != nil {
		return nil, err
	}
	marks := filepath.Join(dir, "marks")
	stream := fastimport.Start(ctx, s.Repo, marks)
	defer stream.Abort()
	for i, o := range list {
		if err := s.commit(ctx, stream, o, i+1, trunkModes); err != nil {
			return nil, err
		}
	}
	if err := stream.Finish(); err != nil {
		return nil, err
	}
	return readMarks(marks, len(list))
}

func (s *Source) commit(ctx context.Context, stream *fastimport.Stream, o own, mark int, trunkModes contents) error {
	out, err := s.Repo.Git.Output(ctx, s.Repo.Call("show", "-s", "--format=%ct", "--end-of-options", o.base))
	if err != nil {
		return err
	}
	_, modes, err := s.contents(ctx, o.base)
	if err != nil {
		return err
	}
	date, message := strings.TrimSpace(out), "Files of the "+o.kind+" "+o.name+"\n"
	fmt.Fprintf(stream, "reset %s\ncommit %s\nmark :%d\nauthor %s %s +0000\ncommitter %s %s +0000\ndata %d\n%s\nfrom %s\ndeleteall\n",
		fastimport.Ref, fastimport.Ref, mark, identity, date, identity, date, len(message), message, o.base)
	for _, path := range slices.Sorted(maps.Keys(o.files)) {
		fmt.Fprintf(stream, "M %s %s %s\n", cmp.Or(modes[path], trunkModes[path], "100644"), o.files[path], fastimport.Quote(path))
	}
	_, err = fmt.Fprintln(stream)
	return err
}
