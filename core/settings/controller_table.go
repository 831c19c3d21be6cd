package settings

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
)

// ControllerTable lists the settings of lorry-controller: every one that the
// original's lorry-controller-webapp had, and this program's own.
func ControllerTable(version string) Table {
	return Table{
		Program: "lorry-controller", ConfigName: "lorry-controller-webapp", Version: version,
		Command: "[COMMAND]",
		Summary: "Mirrors repositories as CONFGIT says. Without a command it serves by its configuration;\n" +
			"\"lorry-controller run\" needs no configuration: it keeps everything under --data DIR\n" +
			"and mirrors what --mirror and --upstream-dir name. Other commands:\n" +
			"  migrate status|up|print             the schema of the STATEDB\n" +
			"  import-statedb FILE                 take over the STATEDB of the original\n" +
			"  config check DIR                    what is wrong in a checkout of CONFGIT\n" +
			"  token create|list|revoke            tokens for the HTTP API, made without it\n" +
			"  audit verify                        whether the audit was tampered with\n" +
			"  notify test                         send a message to whom notify-… names\n" +
			"  adapter check PATH --settings FILE  whether an adapter does what it must",
		KnownEnv: []string{ReattachVariable, "LORRY_ADDR", "LORRY_TOKEN", "LORRY_TOKEN_FILE", "LORRY_CA_FILE", "LORRY_CLIENT_CERTIFICATE", "LORRY_CLIENT_KEY", "LORRY_SECRET_*"}, // lorryctl's, and secrets that CONFGIT names
		Options:  slices.Concat(placeOptions(), accessOptions(), downstreamOptions(), adapterOptions(), queueOptions(), outsideOptions(), unusedOptions()),
	}
}

// placeOptions say where things are.
func placeOptions() []Option {
	return []Option{
		{Name: "data", Metavar: "DIR", Doc: "Keep everything below DIR. Default: the directory of the statedb file; \"var\" for run, else /var/lib/lorry-controller."},
		{Name: "statedb", Metavar: "FILE", Doc: "The STATEDB: an SQLite file, or a URL postgres://USER@HOST/NAME. Default: state.db in the data directory."},
		{Name: "statedb-password", Secret: true, Metavar: "PASSWORD", Doc: "The password for a PostgreSQL STATEDB."},
		{Name: "listen", Metavar: "ADDR:PORT", Doc: "Serve the HTTP API and the pages here. Default: 127.0.0.1:12765.", Check: checkListen},
		{Name: "debug-host", Metavar: "ADDR", Doc: "Older form of listen: the address."},
		{Name: "debug-port", Metavar: "PORT", Doc: "Older form of listen: the port.", Check: checkPort},
		{Name: "wsgi", Kind: Bool, Default: "no", Doc: "Serve FastCGI on the socket that standard input is."},
		{Name: "status-html", Metavar: "FILE", Doc: "Write the status page to FILE. Default: status.html in the data directory for run, else none."},
		{Name: "confgit-url", Metavar: "URL", Doc: "The URL of CONFGIT, the git repository that says what to mirror."},
		{Name: "confgit-branch", Metavar: "BRANCH", Doc: "The branch of CONFGIT to use. Default: the one that its HEAD names."},
		{Name: "confgit-username", Reread: true, Metavar: "NAME", Doc: "Log in at confgit-url under this name."},
		{Name: "confgit-password", Reread: true, Secret: true, Metavar: "PASSWORD", Doc: "The password or token for confgit-url."},
		{Name: "confgit-secrets", Metavar: "DIR", Doc: "The directory of files with secrets that CONFGIT may name, instead of having them in it."},
		{Name: "configuration-directory", Metavar: "DIR", Doc: "Without confgit-url: read lorry-controller.conf in this directory, which need not be a git repository. Default: the current directory."},
		{Name: "proxy-config", Default: "proxy.conf", Metavar: "FILE", Doc: "The file beside lorry-controller.conf that names an HTTP proxy."},
		{Name: "mirror", Kind: List, Metavar: "URL", Doc: "For run: mirror the git repository at URL."},
		{Name: "upstream-dir", Kind: List, Metavar: "DIR", Doc: "For run: mirror every bare repository below DIR."},
		{Name: "deny-private-addresses", Reread: true, Kind: Bool, Default: "no", Doc: "Let minions fetch from public addresses alone."},
		{Name: "allow-addresses", Reread: true, Kind: List, Metavar: "HOST", Doc: "Let deny-private-addresses pass for HOST: a name, .domain, address or network."},
		{Name: "file-roots", Kind: List, Metavar: "DIR", Doc: "Directories below which CONFGIT may name upstream repositories by path or file URL."},
		{Name: "debug-fake-trove", Aliases: []string{"debug-fake-upstream-host"}, Kind: List, Metavar: "HOST=FILE", Doc: "For tests: take the listing of HOST from a JSON file {\"ls-output\": [PATH, …]}.", Check: checkFake},
		{Name: "debug-pretend-time", Kind: Bool, Default: "no", Doc: "For tests: POST /1.0/pretend-time stops the clock at a time of its choice."},
	}
}

// downstreamOptions describe the Downstream Host.
func downstreamOptions() []Option {
	return []Option{
		{
			Name: "downstream-host-type", Aliases: []string{"git-server-type"}, Default: "gitano", Metavar: "TYPE",
			Doc: "The kind of Downstream Host: gerrit, gitano, gitea, gitlab, local, or the type of another adapter. For run the default is local.", Check: checkType,
		},
		{Name: "downstream-ssh-url", Default: "ssh://git@localhost", Metavar: "URL", Doc: "Where the Downstream Host takes ssh."},
		{Name: "downstream-http-url", Default: "http://localhost/", Metavar: "URL", Doc: "Where the Downstream Host takes HTTP."},
		{Name: "downstream-visibility", Reread: true, Default: "private", Metavar: "WHO", Choices: []string{"private", "internal", "public"}, Doc: "Who may see new repositories."},
		{Name: "downstream-retire", Reread: true, Default: "leave", Metavar: "WHAT", Choices: []string{"leave", "archive"}, Doc: "What becomes of a repository whose Lorry goes away: it is left alone, or archived until the Lorry is back. A section of CONFGIT may say otherwise."},
		{Name: "gerrit-parent-project", Reread: true, Metavar: "PROJECT", Doc: "The parent of new projects on Gerrit."},
		{Name: "gitlab-private-token", Reread: true, Secret: true, Metavar: "TOKEN", Doc: "The token for the API of GitLab."},
		{Name: "gitea-access-token", Reread: true, Secret: true, Metavar: "TOKEN", Doc: "The token for the API of Gitea."},
		{Name: "local-base-directory", Metavar: "DIR", Doc: "The directory of a local Downstream Host. For run the default is mirrors in the data directory."},
		{Name: "downstream-setting", Reread: true, Kind: List, Metavar: "NAME=VALUE", Doc: "A further setting for the adapter of the Downstream Host; \"lorry-adapter-TYPE describe\" names them.", Check: checkPair},
		{Name: "downstream-secret-file", Reread: true, Kind: List, Metavar: "NAME=FILE", Doc: "A secret for the adapter of the Downstream Host is in FILE.", Check: checkFilePair},
		{Name: "check-certificates", Kind: Bool, Default: "yes", Doc: "Verify TLS certificates. With no, mirroring goes on when they can't be verified."},
	}
}

// queueOptions steer the run queue and its upkeep.
func queueOptions() []Option {
	return []Option{
		{Name: "minions", Kind: Int, Metavar: "N", Doc: "Run N minions inside this process. Default: 2 for run, else 0."},
		{Name: "lorry-cmd", Metavar: "CMD", Doc: "The importer that these minions run. Default: lorry beside the program."},
		{Name: "lorry-working-area", Metavar: "DIR", Doc: "The working area of these minions. Default: work in the data directory."},
		{Name: "ghost-timeout", Reread: true, Kind: Duration, Default: "120", Metavar: "SECONDS", Doc: "A job without news for so long is lost.", Check: checkNotZero},
		{Name: "max-jobs-per-host", Reread: true, Kind: Int, Default: "0", Metavar: "N", Doc: "Run at most N jobs at once against one upstream host; 0 means any number."},
		{Name: "retry-backoff", Reread: true, Default: "24h", Metavar: "TIME", Doc: "A Lorry that keeps failing waits twice as long each time, at most TIME; none switches this off.", Check: checkBackoff},
		{Name: "affinity-grace", Reread: true, Kind: Duration, Default: "10", Metavar: "SECONDS", Doc: "Leave a due Lorry for so long to the minion that has it in its working area."},
		{Name: "min-free", Reread: true, Kind: Size, Default: "200M", Metavar: "SIZE", Doc: "Give no new job when less disk space is free here, nor to a minion with less in its working area."},
		{Name: "purge-protect", Reread: true, Default: "5", Metavar: "PERCENT", Doc: "Hold back removals when a listing drops more than this part of a host's repositories (and more than 3).", Check: checkPercent},
		{Name: "read-configuration-interval", Reread: true, Kind: Duration, Default: "2m", Metavar: "TIME", Doc: "Read CONFGIT again so often; 0 means only when asked."},
		{Name: "ls-troves-interval", Reread: true, Kind: Duration, Default: "1m", Metavar: "TIME", Doc: "Look so often whether an Upstream Host is due for listing; 0 means only when asked."},
		{Name: "publish-failures", Reread: true, Kind: Bool, Default: "no", Doc: "Show failed jobs on the status page file too."},
		{Name: "keep-jobs", Reread: true, Kind: Duration, Default: "30d", Metavar: "TIME", Doc: "Forget jobs that ended longer ago; 0 means never."},
		{Name: "keep-unchanged-jobs", Reread: true, Kind: Duration, Default: "3d", Metavar: "TIME", Doc: "Forget jobs that found nothing to do sooner."},
		{Name: "keep-jobs-per-lorry", Reread: true, Kind: Int, Default: "100", Metavar: "N", Doc: "Keep at most N ended jobs of each Lorry; 0 means all."},
		{Name: "max-job-output", Reread: true, Kind: Size, Default: "1M", Metavar: "SIZE", Doc: "Keep at most so much of a job's output."},
	}
}

// unusedOptions are the original's options that have nothing to do any more.
func unusedOptions() []Option {
	const built = "the pages are part of the program"
	return []Option{
		{Name: "templates", Metavar: "DIR", Unused: built},
		{Name: "static-files", Metavar: "DIR", Unused: built},
		{Name: "debug-real-confgit", Kind: Bool, Unused: "CONFGIT is fetched if confgit-url is set"},
		{Name: "debug-fake-confgit", Kind: Bool, Unused: "CONFGIT is fetched if confgit-url is set"},
	}
}

func checkListen(text string) error {
	if text == "" {
		return nil
	}
	_, port, err := net.SplitHostPort(text)
	if err != nil {
		return fmt.Errorf("%q is not ADDR:PORT, such as 127.0.0.1:12765", text)
	}
	return checkPort(port)
}

func checkPort(text string) error {
	if n, err := strconv.ParseUint(text, 10, 16); text != "" && (err != nil || n > 65535) {
		return fmt.Errorf("%q is not a port number", text)
	}
	return nil
}

func checkFake(text string) error {
	if host, file, ok := strings.Cut(text, "="); !ok || host == "" || file == "" {
		return fmt.Errorf("%q is not HOST=FILE", text)
	}
	return nil
}

// checkType keeps the type usable in the name of the adapter's program.
func checkType(text string) error {
	for _, r := range text {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' {
			return fmt.Errorf("%q is not a type of host: only lower-case letters, digits and \"-\"", text)
		}
	}
	if text == "" {
		return errors.New("a type of host is needed")
	}
	return nil
}

func checkNotZero(text string) error {
	if d, err := parseDuration(text); err == nil && d <= 0 {
		return errors.New("must be more than 0")
	}
	return nil
}

func checkBackoff(text string) error {
	if text == "none" {
		return nil
	}
	if _, err := parseDuration(text); err != nil {
		return fmt.Errorf("%w; or none", err)
	}
	return nil
}

func checkPercent(text string) error {
	_, err := parsePercent(text)
	return err
}

func parsePercent(text string) (float64, error) {
	n, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(text, "%")), 64)
	if err != nil || !(n >= 0 && n <= 100) {
		return 0, fmt.Errorf("%q is not a percentage from 0 to 100", text)
	}
	return n, nil
}
