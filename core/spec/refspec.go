package spec

import (
	"fmt"
	"strings"
	"unicode"
)

// Refspec is one push refspec, taken apart.
type Refspec struct {
	Force    bool // "+": a ref may be rewritten
	Negative bool // "^": refs that match Src are left out
	// Src and Dst are names or patterns with one "*" each. A name may be
	// short, such as "main"; without ":" both are the same.
	Src, Dst string
}

// DefaultRefspecs are used when a specification names none: all branches and
// tags, never forced.
func DefaultRefspecs() []string { return []string{"refs/heads/*", "refs/tags/*"} }

// ParseRefspec takes a push refspec apart and checks it.
func ParseRefspec(text string) (Refspec, error) {
	var r Refspec
	rest := text
	switch {
	case strings.HasPrefix(rest, "+"):
		r.Force, rest = true, rest[1:]
	case strings.HasPrefix(rest, "^"):
		r.Negative, rest = true, rest[1:]
	}
	src, dst, both := strings.Cut(rest, ":")
	if !both {
		dst = src
	}
	r.Src, r.Dst = src, dst
	switch {
	case rest == "":
		return r, fmt.Errorf("the refspec %q is empty", text)
	case both && r.Negative:
		return r, fmt.Errorf("the refspec %q leaves refs out and can have no destination", text)
	case src == "":
		return r, fmt.Errorf("the refspec %q has no source: it would delete a ref", text)
	case dst == "":
		return r, fmt.Errorf("the refspec %q has no destination after %q", text, ":")
	}
	for _, name := range []string{src, dst} {
		if err := checkRefName(name); err != nil {
			return r, fmt.Errorf("the refspec %q is not usable: %w", text, err)
		}
	}
	if strings.Contains(src, "*") != strings.Contains(dst, "*") {
		return r, fmt.Errorf("the refspec %q has %q on one side only", text, "*")
	}
	return r, nil
}

// checkRefName keeps git's rules for a ref's name, with at most one "*".
func checkRefName(name string) error {
	switch {
	case strings.HasPrefix(name, "-"), strings.HasPrefix(name, "/"), strings.HasSuffix(name, "/"), strings.HasSuffix(name, "."):
		return fmt.Errorf("the name %q starts or ends with a character that no ref may have there", name)
	case strings.Count(name, "*") > 1:
		return fmt.Errorf("the name %q has more than one %q", name, "*")
	case strings.Contains(name, ".."), strings.Contains(name, "@{"), strings.Contains(name, "//"), name == "@":
		return fmt.Errorf("%q is no name of a ref", name)
	case strings.ContainsAny(name, " ~^:?[\\"), strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("the name %q holds a character that no ref may have", name)
	}
	for part := range strings.SplitSeq(name, "/") {
		if strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".lock") {
			return fmt.Errorf("%q is no name of a ref", name)
		}
	}
	return nil
}
