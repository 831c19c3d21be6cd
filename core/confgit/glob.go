package confgit

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// compileGlob turns a shell pattern into a regular expression for the whole
// text: * and ? stand for anything but, with inPath, a slash; [abc], [a-z] and
// [!a] are sets. There is no escape character.
func compileGlob(glob string, inPath bool) (*regexp.Regexp, error) {
	many, one := ".*", "."
	if inPath {
		many, one = "[^/]*", "[^/]"
	}
	var out strings.Builder
	out.WriteString(`(?s)\A`)
	for i := 0; i < len(glob); {
		c := glob[i]
		i++
		switch c {
		case '*':
			out.WriteString(many)
		case '?':
			out.WriteString(one)
		case '[':
			set, end := globSet(glob, i)
			out.WriteString(set)
			i = end
		default:
			start := i - 1
			for i < len(glob) && !strings.ContainsRune("*?[", rune(glob[i])) {
				i++
			}
			out.WriteString(regexp.QuoteMeta(glob[start:i]))
		}
	}
	out.WriteString(`\z`)
	re, err := regexp.Compile(out.String())
	if err != nil {
		return nil, fmt.Errorf("%q is no pattern of file names", glob)
	}
	return re, nil
}

// globSet reads a set from behind its "[" and gives it as a regular
// expression, and where it ends. A "[" without an end stands for itself.
func globSet(glob string, start int) (set string, end int) {
	i := start
	if i < len(glob) && glob[i] == '!' {
		i++
	}
	first := i
	if i < len(glob) && glob[i] == ']' {
		i++
	}
	for i < len(glob) && glob[i] != ']' {
		i++
	}
	if i >= len(glob) {
		return `\[`, start
	}
	inner := strings.NewReplacer(`\`, `\\`, `[`, `\[`, `]`, `\]`, `^`, `\^`, `&`, `\&`, `~`, `\~`).Replace(glob[first:i])
	if first > start {
		return "[^" + inner + "]", i + 1
	}
	return "[" + inner + "]", i + 1
}

// Pattern is a shell pattern over whole repository paths, in which * also
// matches a slash.
type Pattern struct{ re *regexp.Regexp }

// CompilePattern makes a Pattern; the error quotes the text.
func CompilePattern(text string) (Pattern, error) {
	re, err := compileGlob(text, false)
	return Pattern{re}, err
}

// Match reports whether the pattern fits the whole path.
func (p Pattern) Match(path string) bool { return p.re.MatchString(path) }

// files finds files by glob. Results are kept, for sections often share globs.
type files struct {
	byDir map[string][]string // directory ("" is the top) -> names of files, sorted
	found map[string][]string
}

func newFiles(paths []string) *files {
	f := &files{byDir: map[string][]string{}, found: map[string][]string{}}
	for _, path := range paths {
		dir, name := "", path
		if i := strings.LastIndexByte(path, '/'); i >= 0 {
			dir, name = path[:i], path[i+1:]
		}
		f.byDir[dir] = append(f.byDir[dir], name)
	}
	for _, names := range f.byDir {
		slices.Sort(names)
	}
	return f
}

// glob gives the files that a pattern fits, sorted. As in a shell, a leading
// dot must be matched by a dot.
func (f *files) glob(pattern string) ([]string, error) {
	if found, known := f.found[pattern]; known {
		return found, nil
	}
	for strings.HasPrefix(pattern, "./") {
		pattern = pattern[2:]
	}
	switch {
	case strings.HasPrefix(pattern, "/"):
		return nil, fmt.Errorf("%q must be relative to %s", pattern, ConfFile)
	case slices.Contains(strings.Split(pattern, "/"), ".."):
		return nil, fmt.Errorf("%q leads out of CONFGIT", pattern)
	}
	dirGlob, nameGlob := "", pattern
	if i := strings.LastIndexByte(pattern, '/'); i >= 0 {
		dirGlob, nameGlob = pattern[:i], pattern[i+1:]
	}
	nameRE, err := compileGlob(nameGlob, true)
	if err != nil {
		return nil, err
	}
	dirs, err := f.dirs(dirGlob)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, dir := range dirs {
		names := f.byDir[dir]
		if literal(nameGlob) {
			i, there := slices.BinarySearch(names, nameGlob)
			if names = names[:0:0]; there {
				names = f.byDir[dir][i : i+1]
			}
		}
		for _, name := range names {
			if nameRE.MatchString(name) && dotsAgree(nameGlob, name) {
				found = append(found, strings.TrimPrefix(dir+"/"+name, "/"))
			}
		}
	}
	slices.Sort(found)
	f.found[pattern] = found
	return found, nil
}

// dirs gives the directories that a pattern fits. Most patterns name one, and
// there may be thousands of patterns and of directories.
func (f *files) dirs(glob string) (dirs []string, err error) {
	if literal(glob) {
		if _, there := f.byDir[glob]; there {
			dirs = []string{glob}
		}
		return dirs, nil
	}
	re, err := compileGlob(glob, true)
	if err != nil {
		return nil, err
	}
	for dir := range f.byDir {
		if re.MatchString(dir) && dotsAgree(glob, dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs, nil
}

// dotsAgree reports whether every component that begins with a dot has a
// component of the pattern that does so too.
func dotsAgree(pattern, path string) bool {
	if !strings.Contains(path, ".") {
		return true
	}
	patterns := strings.Split(pattern, "/")
	for i, part := range strings.Split(path, "/") {
		if strings.HasPrefix(part, ".") && (i >= len(patterns) || !strings.HasPrefix(patterns[i], ".")) {
			return false
		}
	}
	return true
}

// literal reports whether a pattern fits itself alone.
func literal(glob string) bool { return !strings.ContainsAny(glob, "*?[") }
