package httpforge

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/lorry-controller/lorry-controller/sdk"
)

// Choices of a filter.
const (
	Include = "include"
	Skip    = "skip"
	Only    = "only"
)

// Filter says which of the listed repositories are wanted. Its zero value wants
// every one.
type Filter struct {
	Archived, Forks, Empty string   // Include, Skip or Only
	Visibilities           []string // none: all
	Topics                 []string // a repository must have all of them
}

// Keep reports whether a repository with these topics is wanted. The forge may
// have filtered already, or may be too old to know how.
func (f Filter) Keep(r sdk.Repo, topics []string) bool {
	fits := func(choice string, is bool) bool {
		return !(choice == Skip && is || choice == Only && !is)
	}
	if !fits(f.Archived, r.Archived) || !fits(f.Forks, r.Fork) || !fits(f.Empty, r.Empty) {
		return false
	}
	if len(f.Visibilities) > 0 && !slices.Contains(f.Visibilities, string(r.Visibility)) {
		return false
	}
	for _, want := range f.Topics {
		if !slices.ContainsFunc(topics, func(t string) bool { return strings.EqualFold(t, want) }) {
			return false
		}
	}
	return true
}

// Rank orders visibilities: the higher, the more people may read.
func Rank(v sdk.Visibility) int {
	switch v {
	case sdk.VisibilityPublic:
		return 2
	case sdk.VisibilityInternal:
		return 1
	default:
		return 0
	}
}

// Clamp gives the lesser of two visibilities.
func Clamp(wanted, limit sdk.Visibility) sdk.Visibility {
	if Rank(wanted) > Rank(limit) {
		return limit
	}
	return wanted
}

// Description cuts a description to what a forge takes, in runes, and gives it
// the form in which a forge keeps it, so that it compares equal afterwards.
func Description(s string, limit int) string {
	s = strings.TrimSpace(strings.ReplaceAll(strings.ToValidUTF8(s, "�"), "\r\n", "\n"))
	if runes := []rune(s); len(runes) > limit {
		s = strings.TrimSpace(string(runes[:limit]))
	}
	return s
}

// CheckPath refuses a repository's path that no forge has and that would mean
// something else in a URL.
func CheckPath(path string) error {
	fault := &sdk.Error{Kind: sdk.Invalid, Fact: "the path is not that of a repository", Subject: path}
	if len(path) > 1024 || !utf8.ValidString(path) || strings.ContainsFunc(path, unicode.IsControl) || strings.Contains(path, "\\") {
		return fault
	}
	for part := range strings.SplitSeq(path, "/") {
		if part == "" || part == "." || part == ".." {
			return fault
		}
	}
	return nil
}

// Branch gives the short name of a branch's full ref, or "" for another ref.
func Branch(ref string) string {
	name, ok := strings.CutPrefix(ref, "refs/heads/")
	if !ok {
		return ""
	}
	return name
}
