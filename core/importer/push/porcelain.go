package push

import "strings"

// report is what git push --porcelain says of one ref.
type report struct {
	flag   byte // ' ' '+' '-' '*' '!' '='
	reason string
}

// diverged reports whether the ref was refused because it would lose history.
func (r report) diverged() bool {
	for _, why := range []string{"non-fast-forward", "fetch first", "already exists", "needs force", "stale info", "remote ref updated since checkout", "would clobber"} {
		if strings.Contains(r.reason, why) {
			return true
		}
	}
	return false
}

// denied reports whether the server refused a rewrite, by the words of git's
// receive-pack, which no approval here changes if it was forced.
func (r report) denied() bool { return strings.Contains(r.reason, "non-fast-forward") }

// parsePorcelain reads the lines "FLAG TAB FROM:TO TAB SUMMARY (REASON)". What
// is no such line (To URL, Done, a hook's words) is passed over.
func parsePorcelain(text string) map[string]report {
	reports := make(map[string]report)
	for line := range strings.Lines(text) {
		flag, rest, ok := strings.Cut(strings.TrimRight(line, "\n"), "\t")
		if !ok || len(flag) != 1 || !strings.Contains(" +-*!=", flag) {
			continue
		}
		refs, summary, _ := strings.Cut(rest, "\t")
		_, dst, ok := strings.Cut(refs, ":")
		if !ok || !strings.HasPrefix(dst, "refs/") {
			continue
		}
		reports[dst] = report{flag: flag[0], reason: reason(flag[0], summary)}
	}
	return reports
}

// reason takes the words in brackets at the end, which for a refused ref tell
// why: "[remote rejected] (pre-receive hook declined)".
func reason(flag byte, summary string) string {
	if flag != '!' {
		return ""
	}
	open := strings.IndexByte(summary, '(')
	if open < 0 || !strings.HasSuffix(summary, ")") {
		return strings.Trim(summary, "[] ")
	}
	return summary[open+1 : len(summary)-1]
}
