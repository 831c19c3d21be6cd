package gitfail

import "github.com/lorry-controller/lorry-controller/core"

// rule gives the failure kind for a line that holds one of the patterns, which
// are in lower case.
type rule struct {
	kind     core.FailureKind
	place    Place // "" for every place
	hint     string
	patterns []string
}

// rules are in order: the first that fits any line decides. What is certain
// (a full disk, a host key) stands before what often merely follows from it
// (the other end hung up).
func rules() []rule { return append(certain(), likely()...) }

// certain are the rules whose lines leave no doubt.
func certain() []rule {
	return []rule{
		{kind: core.FailLimit, hint: "raise max-file-size in lorry.conf if files of this size are meant", patterns: []string{
			"file too large", "filesize limit", "file size limit",
		}},
		{kind: core.FailLimit, hint: "raise max-memory in lorry.conf, or give the machine more", patterns: []string{
			"out of memory", "cannot allocate memory", "memoryerror", "mmap failed", "virtual memory exhausted",
		}},
		{kind: core.FailDisk, patterns: []string{
			"no space left on device", "disk quota exceeded", "input/output error", "read-only file system", "failed to fsync", "fsync error",
		}},
		{kind: core.FailHostKey, patterns: []string{
			"host key verification failed", "remote host identification has changed", "no matching host key", "no host key is known",
		}},
		{kind: core.FailCorrupt, place: Upstream, hint: HintServer, patterns: []string{"multiple updates for ref", "at the same time"}},
		{kind: core.FailGone, hint: hintElsewhere, patterns: []string{"url from '"}},
		{kind: core.FailNotGit, place: Upstream, hint: HintServer, patterns: []string{"invalid ls-refs response"}},
		{kind: core.FailSpec, hint: "use another scheme in the url", patterns: []string{
			"' not allowed", "strange pathname", "strange hostname", "unable to find remote helper", "is not a valid remote helper", "url uses plaintext credentials",
		}},
		{kind: core.FailSpec, hint: "one side names its objects by SHA-256 and the other by SHA-1: have the downstream repository made like upstream's (git init --object-format=sha256), where the host can hold such", patterns: []string{
			"unexpected capabilities^{}", "mismatched algorithms", "hash algorithm",
		}},
		{kind: core.FailLFS, patterns: []string{"lfs objects are missing", "gh008", "lfs: missing object", "missing lfs"}},
		{kind: core.FailTLS, patterns: []string{
			"ssl certificate", "server certificate verification failed", "certificate verify failed", "gnutls_handshake", "ssl_connect", "ssl_read",
			"unable to verify security", "e230001", "e120171", "tls connect error", "tls handshake", "certificate subject name", "self-signed certificate", "error setting certificate",
		}},
		{
			kind: core.FailRefused, place: Downstream, hint: "the Downstream Host's web server or a proxy bounds how much one request may bring; have that raised (nginx: client_max_body_size)",
			patterns: []string{"http 413", "returned error: 413"},
		},
		{kind: core.FailRateLimited, patterns: []string{"http error 429", "returned error: 429", "too many requests", "rate limit"}},
		{kind: core.FailAuth, patterns: []string{
			"authentication failed", "could not read username", "could not read password", "terminal prompts disabled", "permission denied (",
			"http error 401", "http error 403", "http authorization required", "returned error: 401", "returned error: 403", "invalid username or password", "access denied", "incorrect username or password",
			"invalid credentials", "e170001", "e215004", "no more credentials", "authorization failed", "no supported authentication methods", "not authorized", "too many authentication failures",
		}},
		{
			kind: core.FailGone, hint: "find out the new address and put it in the specification",
			patterns: []string{
				"http error 30", "repository moved", "returned error: 301", "returned error: 302", "returned error: 303", "returned error: 307", "returned error: 308", "unable to update url base from redirection",
			},
		},
		{kind: core.FailNotGit, patterns: []string{
			"not valid: is this a git repository?", "bad line length character", "invalid content-type", "does not appear to be an hg repository", "e175003", "e175009", "e130003", "not valid: could not determine hash algorithm",
		}},
		{kind: core.FailGone, patterns: []string{
			"http error 404", "abort: repository ", "http error 410", "returned error: 404", "returned error: 410", "repository not found", "does not appear to be a git repository", "no such repository",
			"repository not exported", "' not found", "did you run git update-server-info", "project you were looking for could not be found",
			"e160013", "e180001", "e210005", "e170000", "e200009", "' does not exist", "repository does not exist", "not a git repository",
		}},
	}
}

const hintElsewhere = "the upstream's server sends to another address for a part of the objects, which is never followed: only who runs it can change that"

// likely are the rules whose lines may have more than one reason.
func likely() []rule {
	return []rule{
		{kind: core.FailEmpty, place: Upstream, patterns: []string{"couldn't find remote ref", "no such remote ref"}},
		{
			kind: core.FailNetwork, hint: "upstream changed while it was being read; the next job tries again",
			patterns: []string{"not our ref", "unadvertised object"},
		},
		{kind: core.FailCorrupt, patterns: []string{
			"hasdot", "gitmodules", "possible repository corruption", "did not send all necessary objects", "is corrupt", "bad object", "missing blob", "missing tree", "missing commit",
			"unable to read tree", "fsck error", "data stream error", "pack has bad object", "bad packed object", "sha1 mismatch", "hash mismatch", "unresolved delta",
			"broken link", "unable to parse object", "could not parse object", "unable to read sha1 file", "is far too short", "pack signature mismatch", "pack is corrupted",
			"missing necessary objects", "bad tree", "object file is empty", "does not match index", "unable to parse commit", "cannot be accessed",
		}},
		{kind: core.FailRefused, place: Downstream, patterns: []string{
			"hook declined", "protected branch", "hidden ref", "deletion of the current branch", "is archived", "read-only", "repository is read only",
			"exceeds github's file size limit", "larger than the maximum", "exceeds the maximum", "not allowed to push", "push declined", "unpacker error", "refusing to",
		}},
		{kind: core.FailNetwork, patterns: []string{
			"could not resolve host", "failed to connect", "couldn't connect", "connection refused", "connection timed out", "connection reset", "network is unreachable", "no route to host",
			"operation too slow", "operation timed out", "timed out", "hung up unexpectedly", "early eof", "rpc failed", "empty reply from server", "returned error: 5",
			"unable to look up", "name or service not known", "kex_exchange_identification", "broken pipe", "connection closed", "name resolution",
			"unexpected disconnect", "transfer closed", "http error 5", "no suitable response from remote hg", "unable to connect", "e000111", "e670002", "e170013", "e175002", "e175012", "e210002", "bad response", "unable to access", "unexpected flush", "expected flush", "expected 'packfile'", "expected 'acknowledgments'", "unable to rewind rpc post data",
			"could not read from remote repository",
		}},
		{kind: core.FailCorrupt, patterns: []string{"index-pack failed", "invalid index-pack output", "unpack-objects abnormal exit"}},
		{
			kind: core.FailRefused, place: Downstream, hint: "another program writes to the downstream repository, or left a lock file there",
			patterns: []string{"cannot lock ref", "unable to create", "another git process"},
		},
		{kind: core.FailNetwork, patterns: []string{"bad pack header"}},
		{kind: core.FailOther, place: Upstream, hint: "these are the words of the upstream's server: ask whoever runs it", patterns: []string{"remote error:"}},
		{kind: core.FailDisk, place: Local, hint: "see to the rights on the working area", patterns: []string{"permission denied", "unable to create"}},
	}
}

// Hint says what a person can do about a failure of a kind, or "".
func Hint(kind core.FailureKind, place Place) string {
	switch kind {
	case core.FailAuth:
		if place == Downstream {
			return "give the Downstream Host's account the right to push, or renew its token"
		}
		return "check the user name, token or ssh key for the upstream; some hosts answer so for a repository that does not exist"
	case core.FailGone:
		if place == Downstream {
			return "create the repository on the Downstream Host, or see why its adapter did not"
		}
		return "check the url; if the repository has moved or was removed, change or remove the Lorry"
	case core.FailRateLimited:
		return "nothing to do unless it goes on; then raise the interval or lower max-jobs-per-host"
	case core.FailTLS:
		return "have the host's certificate put right, or install the authority that signed it; check-certificates = no goes on without"
	case core.FailHostKey:
		return "compare the host's key with its owner, then put it into known_hosts"
	case core.FailNetwork:
		return "usually passes; if not, check the host name, firewalls and proxies"
	case core.FailNotGit:
		return "the address answers with something else (a login page, a proxy's error page): open it in a browser"
	case core.FailEmpty:
		return "nothing was changed downstream; see whether upstream is meant to be empty, and check the refspecs"
	case core.FailDiverged:
		return "upstream was rewritten, or somebody else changed the mirror: look at it, then approve the rewrite or put + before the refspec"
	case core.FailRefused:
		return "see the reason for each ref; the Downstream Host's rules or hooks decide"
	case core.FailLFS:
		return "set lfs: true in the specification, or switch LFS off for the downstream repository"
	case core.FailCorrupt:
		return corruptHint(place)
	case core.FailDisk:
		return diskHint(place)
	}
	return ""
}

func corruptHint(place Place) string {
	switch place {
	case Upstream:
		return "tell the upstream's owner: git fsck there will name the broken objects"
	case Downstream:
		return "run git fsck on the downstream repository"
	}
	return "the working copy is thrown away and made anew"
}

func diskHint(place Place) string {
	if place == Downstream {
		return "free space on the Downstream Host"
	}
	return "free space where the working area lies, or mend that disk"
}
