package cli

import (
	"errors"
	"path/filepath"
	"strings"

	"github.com/lorry-controller/lorry-controller/core/settings"
)

// Table lists the settings of lorry: every one that the original had, and this
// program's own.
func Table(version string) settings.Table {
	when := []string{"first", "always", "never"}
	const streams = "what git says is part of lorry's own output"
	return settings.Table{
		Program: "lorry", Version: version, Usage: "SPECFILE...",
		Summary: "Imports every repository that the .lorry files name into the working area and pushes\n" +
			"it to a mirror. \"lorry [options] check SPECFILE...\" only says what is wrong with the\n" +
			"files, which programs are missing, and whether the sources can be reached.\n\n" +
			"What is no git repository is converted by programs that must be installed beside\n" +
			"git: svn by svn and git-svn, hg by hg, cvs by cvs, cvsps and git-cvsimport, bzr by\n" +
			"brz with its fastimport (and launchpadlib for lp:). Of tarballs, gz, bz2 and zip\n" +
			"need none, but xz and lzma need xz, zst zstd, lz lzip, and Z gzip.\n\n" +
			"Exit status: 0 everything is mirrored, 1 something failed, 2 the command line is\n" +
			"wrong, 255 a signal ended the program.",
		Options: []settings.Option{
			{Name: "working-area", Short: "w", Default: "workd", Metavar: "DIR", Doc: "Keep all state in DIR, one directory for each repository."},
			{Name: "mirror-base-url-push", Metavar: "URL", Doc: "Push to URL/NAME. On this machine (a path or file://) the repository is made if it is not there.", Check: noSecret},
			{Name: "mirror-base-url-fetch", Metavar: "URL", Doc: "The URL by which tarballs and bundles are named."},
			{Name: "pull-only", Kind: settings.Bool, Doc: "Do not push."},
			{Name: "verbose", Short: "v", Kind: settings.Bool, Doc: "Show the progress of transfers."},
			{Name: "porcelain", Kind: settings.Bool, Doc: "Write progress and a report on each repository, with what became of each ref, as lines of JSON to standard output; messages go to standard error."},
			{Name: "repack", Kind: settings.Bool, Default: "yes", Doc: "Pack refs and objects after an import."},
			{Name: "keep-multiple-backups", Kind: settings.Bool, Doc: "Keep every damaged working copy, not the last alone."},
			{Name: "push-option", Kind: settings.List, Metavar: "TEXT", Doc: "Send TEXT to the server with every push."},
			{Name: "bundle", Default: "never", Choices: when, Metavar: "WHEN", Doc: "Write a git bundle after the first import, always or never."},
			{Name: "bundle-dest", Default: "bundles", Metavar: "DIR", Doc: "Write bundles to DIR."},
			{Name: "tarball", Default: "never", Choices: when, Metavar: "WHEN", Doc: "Write a tarball of the repository after the first import, always or never."},
			{Name: "tarball-dest", Default: "tarballs", Metavar: "DIR", Doc: "Write tarballs to DIR."},
			{Name: "command-stdout", Metavar: "FILE", Unused: streams},
			{Name: "command-stderr", Metavar: "FILE", Unused: streams},
			{Name: "timeout", Kind: settings.Duration, Default: "0", Metavar: "SECONDS", Doc: "Give up on a repository after SECONDS; 0 means never."},
			{Name: "lock-wait", Kind: settings.Duration, Default: "30", Metavar: "SECONDS", Doc: "Wait so long for another run of the same repository to end."},
			{Name: "low-speed-time", Kind: settings.Duration, Default: "60", Metavar: "SECONDS", Doc: "Give up on a transfer over HTTP that stalls for SECONDS."},
			{Name: "ssh-dir", Metavar: "DIR", Doc: "Take ssh keys, known_hosts and config from DIR instead of the account's ~/.ssh."},
			{Name: "max-output", Kind: settings.Size, Default: "64M", Metavar: "SIZE", Doc: "Stop a repository that writes more messages; 0 means no limit."},
			{Name: "max-disk", Kind: settings.Size, Default: "0", Metavar: "SIZE", Doc: "Stop a repository whose part of the working area grows beyond; 0 means no limit."},
			{Name: "max-memory", Kind: settings.Size, Default: "0", Metavar: "SIZE", Doc: "Let no program have more memory of its own, lorry itself neither: it needs some 150 MB. 0 means no limit."},
			{Name: "max-file-size", Kind: settings.Size, Default: "0", Metavar: "SIZE", Doc: "Let no file, and so no pack, grow beyond; 0 means no limit."},
			{Name: "verify-interval", Kind: settings.Duration, Default: "24h", Metavar: "TIME", Doc: "Look at downstream so often although upstream has not changed."},
			{Name: "check-interval", Kind: settings.Duration, Default: "30d", Metavar: "TIME", Doc: "Check and pack each working copy so often; 0 means never."},
			{Name: "keep-rewritten", Kind: settings.Duration, Default: "0", Metavar: "TIME", Doc: "Keep the old tips of rewritten refs for so long; 0 means for ever."},
			{Name: "evict-below", Kind: settings.Size, Default: "0", Metavar: "SIZE", Doc: "When less disk space is free, remove the working copies of other repositories, the least used first; 0 means never."},
			{Name: "ssh-identity", Kind: settings.List, Metavar: "HOST=FILE", Doc: "Use the private key in FILE for HOST, and no other.", Check: hostFile},
			{Name: "known-hosts", Kind: settings.List, Metavar: "HOST=FILE", Doc: "Know HOST's ssh keys from FILE alone.", Check: hostFile},
			{Name: "ca-file", Metavar: "FILE", Doc: "Trust the certificate authorities in FILE (PEM) beside the system's."},
			{Name: "proxy-config", Metavar: "FILE", Doc: "Reach both sides through the HTTP proxy that FILE, a JSON object, names with hostname, port, username, password and no_proxy. Default: the variables http_proxy, https_proxy and no_proxy."},
			{Name: "deny-private-addresses", Kind: settings.Bool, Doc: "Fetch from public addresses alone."},
			{Name: "allow-addresses", Kind: settings.List, Metavar: "HOST", Doc: "Let deny-private-addresses pass for HOST: a name, .domain, address or network."},
			{Name: "access-fd", Kind: settings.Int, Default: "0", Metavar: "N", Doc: "Read what a minion says of the job, as JSON, from descriptor N."},
			{Name: "report-fd", Kind: settings.Int, Default: "0", Metavar: "N", Doc: "Write a report, one line of JSON for each repository, to descriptor N."},
			{Name: "log", Default: "none", Metavar: "FILE", Doc: "Log to FILE, or to syslog, stderr or none."},
		},
		// What the other programs of the family read.
		KnownEnv: []string{"LORRY_CONTROLLER*", "LORRY_TOKEN*", "LORRY_MINION*"},
	}
}

// hostFile wants HOST=FILE.
func hostFile(text string) error {
	host, file, ok := strings.Cut(text, "=")
	if !ok || host == "" || !filepath.IsAbs(file) {
		return errors.New("must be of the form HOST=/path/to/file")
	}
	return nil
}

// noSecret refuses a password where it would be seen by everybody: command
// lines are public.
func noSecret(text string) error {
	_, rest, ok := strings.Cut(text, "://")
	if authority, _, _ := strings.Cut(rest, "/"); ok && strings.Contains(authority, "@") && strings.Contains(authority[:strings.LastIndex(authority, "@")], ":") {
		return errors.New("must hold no password; use an ssh key")
	}
	return nil
}
