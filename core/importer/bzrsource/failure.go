package bzrsource

import (
	"errors"
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/childproc"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
)

// rule gives the failure kind for a line that holds one of the patterns, which
// are in lower case. Without a hint it is the kind's own.
type rule struct {
	kind     core.FailureKind
	hint     string
	patterns []string
}

// rules are in order: the first that fits decides.
func rules() []rule {
	return []rule{
		{core.FailTool, "install launchpadlib where the minion runs (on Debian: apt install python3-launchpadlib), or give the branch's own address in place of lp:", []string{"launchpadlib is required"}},
		{core.FailTool, "install brz with its library for fast-import where the minion runs (on Debian: apt install brz python3-fastimport)", []string{`library "fastimport"`, "no module named 'fastimport'", "unknown command"}},
		{core.FailDisk, "", []string{"no space left", "disk quota", "input/output error"}},
		{core.FailHostKey, "", []string{"host key verification failed"}},
		{core.FailSpec, "name the branch itself: one that refers to another, or is stacked on it, is read only on the same host, and on this machine below the directories that may be read", []string{"is not its own place"}},
		{core.FailSpec, "name a branch in it, or several with branches", []string{"location is a repository"}},
		{core.FailSpec, "write what is no letter, digit or mark in it as %XX", []string{"urls must be properly escaped"}},
		{core.FailGone, "", []string{"not a branch", "no such file", "moved to another host", "unable to follow redirect", "no such project", "unknown launchpad path", "has no branch", "http status 404", "http status 410"}},
		{core.FailTLS, "", []string{"certificate"}},
		{core.FailAuth, "", []string{"permission denied", "http status 401", "http status 403", "403 forbidden", "401 unauthorized", "authentication"}},
		{core.FailNetwork, "", []string{
			"http status 5", "connection error", "could not resolve", "unable to find the server", "timed out", "connection closed", "connection reset", "no route", "refused", "unexpected end",
		}},
		{core.FailCorrupt, "", []string{"bzrcheckerror", "corrupt", "knit", "error in data", "nosuchrevision", "checksum"}},
	}
}

// failure reads what brz says.
func failure(err error, place gitfail.Place) *gitfail.Error {
	if err == nil {
		err = errors.New("brz gave no answer")
	}
	var exit *childproc.ExitError
	if !errors.As(err, &exit) || exit.Err != nil {
		return gitfail.From(err, place)
	}
	text := strings.ToLower(exit.Stderr)
	for _, r := range rules() {
		for _, p := range r.patterns {
			line := lineWith(exit.Stderr, text, p)
			if line == "" {
				continue
			}
			if r.hint == "" {
				r.hint = gitfail.Hint(r.kind, place)
			}
			e := gitfail.New(r.kind, place, r.hint, "%s: %s", place, line)
			e.Err = err
			return e
		}
	}
	return gitfail.From(err, place)
}

// lineWith gives the line of a text that holds a pattern.
func lineWith(text, lower, pattern string) string {
	i := strings.Index(lower, pattern)
	if i < 0 || len(lower) != len(text) {
		return ""
	}
	start := strings.LastIndexByte(text[:i], '\n') + 1
	line, _, _ := strings.Cut(text[start:], "\n")
	return strings.TrimPrefix(strings.TrimSpace(line), "brz: ERROR: ")
}
