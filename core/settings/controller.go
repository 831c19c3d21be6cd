package settings

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
)

// Controller are the settings of lorry-controller, with all defaults filled in.
type Controller struct {
	// Embedded is set for "run": one process that needs no configuration.
	Embedded bool
	// Data is the directory below which everything is kept that has no place
	// of its own.
	Data string
	// StateDB is the name of the SQLite file, or a postgres:// URL with its
	// password, which makes the whole a secret.
	StateDB core.Secret
	// StateDBSource says where StateDB comes from, as Values.Source does.
	StateDBSource string
	Listen        string // ADDR:PORT
	WSGI          bool   // serve FastCGI on standard input
	// StatusHTML is the file of the static status page, or "" for none.
	StatusHTML      string
	PublishFailures bool
	Confgit         Confgit
	Downstream      Downstream
	Adapters        Adapters
	Access          Access
	// Webhooks are the files with the secrets of webhooks, by name.
	Webhooks map[string]string
	Notify   Notify
	// MetricsPerLorry keeps metrics of each single Lorry.
	MetricsPerLorry bool
	// FileRoots are the directories below which CONFGIT may name upstreams.
	FileRoots []string
	// DenyPrivate refuses to fetch from addresses that are not public, but for
	// AllowAddresses.
	DenyPrivate    bool
	AllowAddresses []string
	// PretendTime lets the API stop the clock, for tests.
	PretendTime bool
	// FakeHosts maps an Upstream Host to the file of its faked listing.
	FakeHosts map[string]string
	// CheckCertificates is RR/CERT for all hosts.
	CheckCertificates bool

	Minions     int    // inside this process
	LorryCmd    string // "": beside the program
	WorkingArea string

	GhostTimeout   time.Duration
	MaxJobsPerHost int // 0: no limit
	// RetryBackoff caps the wait of a failing Lorry; 0 switches backoff off.
	RetryBackoff  time.Duration
	AffinityGrace time.Duration
	MinFree       int64   // bytes
	PurgeProtect  float64 // percent

	// ReadConfiguration and LsTroves are how often upkeep does these; 0 never.
	ReadConfiguration, LsTroves time.Duration
	Retention                   Retention
	MaxJobOutput                int64 // bytes
	// Log has To "" for run when nothing says where to log: a terminal has
	// other uses for standard error then.
	Log Log
}

// Confgit says where CONFGIT is.
type Confgit struct {
	// URL has no credential in it; "" means the plain Directory.
	URL      string
	Username string
	Password core.Secret
	Branch   string // "": the one that the remote's HEAD names
	// Mirror is the directory of the bare mirror of URL.
	Mirror string
	// Directory is read as it stands when there is no URL.
	Directory string
	ProxyFile string // beside lorry-controller.conf
	// Secrets is the directory of files with secrets that CONFGIT names, or "".
	Secrets string
	// Starter is set when the program is to make a CONFGIT of its own at URL
	// for Mirrors and UpstreamDirs.
	Starter      bool
	Mirrors      []string
	UpstreamDirs []string
}

// Downstream describes the Downstream Host.
type Downstream struct {
	Type         string
	SSHURL       string
	HTTPURL      string
	Visibility   string // private, internal, public
	GerritParent string
	GitLabToken  core.Secret
	// Settings are further settings of its adapter, as texts.
	Settings map[string]string
	// SecretFiles are the files of those secrets of its adapter that were given
	// as files. They are read again whenever the adapter starts.
	SecretFiles   map[string]string
	GiteaToken    core.Secret
	Retire        core.RetirePolicy // for sections that say nothing
	BaseDirectory string            // of a local one
}

// Adapters says which adapters may run, and how. The maps are by type of host.
type Adapters struct {
	Dir     string   // "": beside the program
	Dev     bool     // use those that an author runs
	Enabled []string // types; none: all that are there
	Path    map[string]string
	SHA256  map[string]string // in hex
	// MaxCalls is how many calls one host's adapter gets at a time.
	MaxCalls map[string]int
}

// Retention says how long ended jobs are kept; 0 means for ever, or any number.
type Retention struct {
	Age, UnchangedAge time.Duration
	PerLorry          int
}

// NewController checks the values of ControllerTable and fills in defaults.
// The error tells all that is wrong. embedded is for the command run.
func NewController(v *Values, embedded bool) (Controller, error) {
	c := Controller{
		Embedded: embedded, WSGI: v.Bool("wsgi"), PublishFailures: v.Bool("publish-failures"),
		PretendTime: v.Bool("debug-pretend-time"),
		Adapters:    adapterSettings(v), FileRoots: v.List("file-roots"),
		DenyPrivate: v.Bool("deny-private-addresses"), AllowAddresses: v.List("allow-addresses"),
		CheckCertificates: v.Bool("check-certificates"), LorryCmd: v.String("lorry-cmd"),
		GhostTimeout: v.Duration("ghost-timeout"), MaxJobsPerHost: v.Int("max-jobs-per-host"),
		AffinityGrace: v.Duration("affinity-grace"), MinFree: v.Size("min-free"),
		ReadConfiguration: v.Duration("read-configuration-interval"), LsTroves: v.Duration("ls-troves-interval"),
		Retention:    Retention{Age: v.Duration("keep-jobs"), UnchangedAge: v.Duration("keep-unchanged-jobs"), PerLorry: v.Int("keep-jobs-per-lorry")},
		MaxJobOutput: v.Size("max-job-output"), Log: v.Log(),
	}
	c.PurgeProtect, _ = parsePercent(v.String("purge-protect")) // checked when it was set
	if backoff := v.String("retry-backoff"); backoff != "none" {
		c.RetryBackoff = v.Duration("retry-backoff")
	}
	if embedded && !v.IsSet("log") {
		c.Log.To = ""
	}
	c.Listen = listen(v)
	c.Data = absolutePath(dataDirectory(v, embedded))
	c.WorkingArea = orDefault(v.String("lorry-working-area"), filepath.Join(c.Data, "work"))
	if v.IsSet("minions") {
		c.Minions = v.Int("minions")
	} else if embedded {
		c.Minions = 2
	}
	c.StatusHTML = v.String("status-html")
	if c.StatusHTML == "" && embedded {
		c.StatusHTML = filepath.Join(c.Data, "status.html")
	}
	if c.StatusHTML == "/dev/null" {
		c.StatusHTML = ""
	}
	for _, fake := range v.List("debug-fake-trove") {
		host, file, _ := strings.Cut(fake, "=")
		if c.FakeHosts == nil {
			c.FakeHosts = map[string]string{}
		}
		c.FakeHosts[host] = file
	}
	if embedded && !v.IsSet("log-level") {
		c.Log.Level = "info" // the original's default, debug, is for a file that nobody watches
	}
	var stateErr, confErr, downErr, accessErr, notifyErr error
	c.Webhooks, c.MetricsPerLorry = pairs(v.List("webhook-secret-file")), v.Bool("metrics-per-lorry")
	c.Notify, notifyErr = notifySettings(v)
	c.Access, accessErr = access(v)
	c.StateDB, stateErr = stateDB(v, c.Data)
	c.StateDBSource = v.Source("statedb")
	c.Confgit, confErr = confgit(v, c.Data, embedded)
	c.Downstream, downErr = downstream(v, c.Data, embedded)
	return c, errors.Join(stateErr, confErr, downErr, accessErr, notifyErr, absolute(v, "file-roots", c.FileRoots))
}

// absolutePath keeps a path right for programs that work in another directory.
// One that can't be made absolute is refused where it is opened.
func absolutePath(dir string) string {
	if abs, err := filepath.Abs(dir); dir != "" && err == nil {
		return abs
	}
	return dir
}

func orDefault(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

func absolute(v *Values, name string, dirs []string) error {
	for _, dir := range dirs {
		if !filepath.IsAbs(dir) {
			return fmt.Errorf("%s: %q must begin with \"/\"", v.Source(name), dir)
		}
	}
	return nil
}

// listen gives the address to serve: ours, or what the original's two options
// say. They never widen the address by themselves.
func listen(v *Values) string {
	const host, port = "127.0.0.1", "12765"
	if text := v.String("listen"); text != "" {
		return text
	}
	return net.JoinHostPort(orDefault(v.String("debug-host"), host), orDefault(v.String("debug-port"), port))
}

func isPostgres(text string) bool {
	return strings.HasPrefix(text, "postgres://") || strings.HasPrefix(text, "postgresql://")
}

// dataDirectory is beside an SQLite STATEDB unless it is given: an
// installation of the original has a writable directory there.
func dataDirectory(v *Values, embedded bool) string {
	db := v.String("statedb")
	switch {
	case v.String("data") != "":
		return v.String("data")
	case embedded:
		return "var"
	case db != "" && !isPostgres(db):
		return filepath.Dir(db)
	}
	return "/var/lib/lorry-controller"
}

func stateDB(v *Values, data string) (core.Secret, error) {
	text, password := v.String("statedb"), v.Secret("statedb-password")
	if !isPostgres(text) {
		var err error
		if strings.Contains(text, "://") {
			err = fmt.Errorf("%s: expected the name of a file, or postgres://USER@HOST/NAME", v.Source("statedb"))
		}
		return core.NewSecret(orDefault(text, filepath.Join(data, "state.db"))), err
	}
	u, err := url.Parse(text)
	if err != nil {
		return core.Secret{}, fmt.Errorf("%s: is not a URL that can be read", v.Source("statedb"))
	}
	if !password.Empty() {
		u.User = url.UserPassword(u.User.Username(), password.Reveal())
	}
	return core.NewSecret(u.String()), nil
}

func confgit(v *Values, data string, embedded bool) (Confgit, error) {
	c := Confgit{
		URL: v.String("confgit-url"), Branch: v.String("confgit-branch"),
		Username: v.String("confgit-username"), Password: v.Secret("confgit-password"),
		Mirror: filepath.Join(data, "confgit"), Directory: v.String("configuration-directory"), Secrets: absolutePath(v.String("confgit-secrets")),
		ProxyFile: v.String("proxy-config"), Mirrors: v.List("mirror"), UpstreamDirs: v.List("upstream-dir"),
	}
	if c.Directory != "" && absolutePath(c.Directory) == c.Mirror {
		c.Mirror += "-mirror" // the original's clone is there
	}
	c.Starter = embedded && c.URL == "" && c.Directory == ""
	var errs []error
	for _, name := range []string{"mirror", "upstream-dir"} {
		if len(v.List(name)) > 0 && !c.Starter {
			errs = append(errs, fmt.Errorf("%s: adds to the CONFGIT that run makes, so it needs run, and neither confgit-url nor configuration-directory", v.Source(name)))
		}
	}
	if c.Starter {
		c.URL = filepath.Join(data, "confgit.git")
	}
	if c.Directory == "" {
		c.Directory = "."
	}
	if u, err := url.Parse(c.URL); err == nil && u.User != nil && u.Scheme != "" {
		if password, has := u.User.Password(); has || strings.HasPrefix(u.Scheme, "http") {
			c.Username, c.Password = u.User.Username(), core.NewSecret(password)
			if !has { // a lone name over HTTP is a token
				c.Username, c.Password = "", core.NewSecret(c.Username)
			}
			u.User = nil
			if u.Scheme == "ssh" {
				u.User = url.User(c.Username)
			}
			c.URL = u.String()
		}
	} else if err != nil && strings.Contains(c.URL, "://") {
		errs = append(errs, fmt.Errorf("%s: is not a URL that can be read", v.Source("confgit-url")))
	}
	return c, errors.Join(errs...)
}

func downstream(v *Values, data string, embedded bool) (Downstream, error) {
	d := Downstream{
		Type: v.String("downstream-host-type"), SSHURL: v.String("downstream-ssh-url"), HTTPURL: v.String("downstream-http-url"),
		Visibility: v.String("downstream-visibility"), GerritParent: v.String("gerrit-parent-project"),
		GitLabToken: v.Secret("gitlab-private-token"), GiteaToken: v.Secret("gitea-access-token"),
		BaseDirectory: v.String("local-base-directory"), Retire: core.RetirePolicy(v.String("downstream-retire")),
	}
	if embedded && !v.IsSet("downstream-host-type") {
		d.Type = "local"
	}
	if d.BaseDirectory == "" && embedded {
		d.BaseDirectory = filepath.Join(data, "mirrors")
	}
	d.Settings, d.SecretFiles = pairs(v.List("downstream-setting")), pairs(v.List("downstream-secret-file"))
	for _, token := range []struct{ host, option, secret string }{
		{"gitlab", "gitlab-private-token-file", "private-token"},
		{"gitea", "gitea-access-token-file", "access-token"},
	} {
		if file := v.String(token.option); d.Type == token.host && file != "" {
			d.SecretFiles[token.secret] = absolutePath(file)
		}
	}
	missing := ""
	switch {
	case d.Type == "gitlab" && d.GitLabToken.Empty():
		missing = "gitlab-private-token or gitlab-private-token-file"
	case d.Type == "gitea" && d.GiteaToken.Empty():
		missing = "gitea-access-token or gitea-access-token-file"
	case d.Type == "local" && d.BaseDirectory == "":
		missing = "local-base-directory"
	}
	var errs []error
	if missing != "" {
		errs = append(errs, fmt.Errorf("%s: a Downstream Host of type %s needs %s", v.Source("downstream-host-type"), d.Type, missing))
	}
	for _, u := range []struct{ name, start, example string }{
		{"downstream-ssh-url", "ssh://", "ssh://git@git.example.com"},
		{"downstream-http-url", "http", "https://git.example.com/"},
	} {
		parsed, err := url.Parse(v.String(u.name))
		if err != nil || parsed.Host == "" || !strings.HasPrefix(parsed.String(), u.start) {
			errs = append(errs, fmt.Errorf("%s: is not a URL such as %s", v.Source(u.name), u.example))
		}
	}
	return d, errors.Join(errs...)
}
