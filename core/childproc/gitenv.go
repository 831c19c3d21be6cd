package childproc

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
)

// globalConfig is what git's own children read: upload-pack and receive-pack
// of a repository on disk get no configuration by environment or argument.
func globalConfig(deferRefSync bool, threads int) string {
	return strings.NewReplacer("FSYNC", synced(deferRefSync), "THREADS", strconv.Itoa(threads)).Replace(globalText)
}

// globalFile is where it stands.
func (g *Git) globalFile(deferRefSync bool) string {
	name := "gitconfig"
	if deferRefSync {
		name = "gitconfig-bulk"
	}
	return filepath.Join(g.opts.Home, name)
}

// synced is what git makes sure of before it goes on.
func synced(deferRefSync bool) string {
	if deferRefSync {
		return "objects,derived-metadata"
	}
	return "objects,derived-metadata,reference"
}

const globalText = `# Written by the program that runs git here; changes are lost.
[safe]
	directory = *
	bareRepository = explicit
[core]
	hooksPath = /dev/null
	fsmonitor = false
	alternateRefsCommand = exit 0 #
	useReplaceRefs = false
	fsync = FSYNC
	fsyncMethod = fsync
	bigFileThreshold = 64m
[pack]
	threads = THREADS
	windowMemory = 128m
	deltaCacheSize = 64m
[gc]
	auto = 0
	autoDetach = false
[maintenance]
	auto = false
[receive]
	autogc = false
	unpackLimit = 1
	updateServerInfo = false
[transfer]
	bundleURI = false
	advertiseSID = false
[init]
	defaultBranch = main
	templateDir =
[advice]
	pushUpdateRejected = false
`

// fixedConfig wins over the configuration of the repository itself.
func (g *Git) fixedConfig(deferRefSync bool) []Setting {
	o := g.opts
	settings := []Setting{
		{"core.hooksPath", "/dev/null"},
		{"core.fsmonitor", "false"},
		{"core.useReplaceRefs", "false"},
		{"core.alternateRefsCommand", "exit 0 #"},
		{"core.fsync", synced(deferRefSync)},
		{"core.fsyncMethod", "fsync"},
		{"core.logAllRefUpdates", "false"},
		{"core.attributesFile", "/dev/null"},
		{"color.ui", "false"},
		{"safe.directory", "*"},
		{"safe.bareRepository", "explicit"},
		{"gc.auto", "0"},
		{"maintenance.auto", "false"},
		{"credential.helper", ""},
		{"http.followRedirects", "false"},
		// While a server counts, packs or checks objects, for minutes if there are
		// many, it says some ten bytes a second: that is no stall.
		{"http.lowSpeedLimit", "1"},
		{"http.lowSpeedTime", seconds(o.LowSpeedTime)},
		{"http.userAgent", "git/lorry"},
		{"protocol.version", "2"},
		{"transfer.fsckObjects", "true"},
		{"transfer.bundleURI", "false"},
		{"transfer.credentialsInUrl", "die"},
		{"transfer.unpackLimit", "1"},
		{"fetch.unpackLimit", "1"},
		{"fetch.recurseSubmodules", "false"},
		{"fetch.writeCommitGraph", "false"},
		{"submodule.recurse", "false"},
		{"push.followTags", "false"},
		{"push.gpgSign", "false"},
		{"push.recurseSubmodules", "no"},
		{"pack.threads", strconv.Itoa(o.Threads)},
		{"pack.windowMemory", "128m"},
		{"pack.deltaCacheSize", "64m"},
		{"core.bigFileThreshold", "64m"}, // what is larger is streamed
	}
	for _, id := range toleratedFaults() {
		settings = append(settings, Setting{"fetch.fsck." + id, "warn"})
	}
	return settings
}

// toleratedFaults are the faults of old histories that harm nobody and without
// which many of them could not be mirrored. What can be used for an attack
// (.git in a tree, "..", broken .gitmodules) stays an error.
func toleratedFaults() []string {
	return []string{
		"badDate", "badDateOverflow", "badEmail", "badName", "badTimezone", "duplicateEntries",
		"missingEmail", "missingNameBeforeEmail", "missingSpaceBeforeDate", "missingSpaceBeforeEmail",
		"multipleAuthors", "zeroPaddedDate", "zeroPaddedFilemode",
	}
}

// environment builds the complete environment of one call. cleanup removes
// what it wrote for it.
func (g *Git) environment(c GitCall) (env []string, cleanup func(), err error) {
	home := g.opts.Home
	ssh, cleanup, err := g.sshCommand(c.Access)
	if err != nil {
		return nil, nil, err
	}
	protocols := "none"
	if len(c.Protocols) > 0 {
		protocols = strings.Join(c.Protocols, ":")
	}
	env = []string{
		"PATH=" + g.opts.Path,
		"HOME=" + home,
		"XDG_CONFIG_HOME=" + home,
		"TMPDIR=" + filepath.Join(home, "tmp"),
		"LC_ALL=C",
		"TZ=UTC",
		"GIT_CONFIG_NOSYSTEM=1",
		"GIT_CONFIG_GLOBAL=" + g.globalFile(c.DeferRefSync),
		"GIT_ATTR_NOSYSTEM=1",
		"GIT_CEILING_DIRECTORIES=" + filepath.Dir(home),
		"GIT_TERMINAL_PROMPT=0",
		"GIT_ASKPASS=/bin/false",
		"SSH_ASKPASS=/bin/false",
		"SSH_ASKPASS_REQUIRE=never",
		"GIT_ALLOW_PROTOCOL=" + protocols,
		"GIT_PROTOCOL_FROM_USER=0",
		"GIT_NO_LAZY_FETCH=1",
		"GIT_NO_REPLACE_OBJECTS=1",
		"GIT_SSH_COMMAND=" + ssh,
		"GIT_SSH_VARIANT=ssh",
	}
	if g.opts.SSHAgent != "" {
		env = append(env, "SSH_AUTH_SOCK="+g.opts.SSHAgent)
	}
	settings := append(g.fixedConfig(c.DeferRefSync), g.networkConfig()...)
	access, err := g.accessConfig(c.Access)
	if err != nil {
		cleanup()
		return nil, nil, err
	}
	settings = append(append(settings, access...), g.ownHostAlone(c.Access)...)
	if c.Patience > 0 {
		settings = append(settings, Setting{"http.lowSpeedTime", seconds(g.opts.LowSpeedTime + c.Patience)})
	}
	settings = append(settings, c.Config...)
	env = append(env, "GIT_CONFIG_COUNT="+strconv.Itoa(len(settings)))
	for i, s := range settings {
		env = append(env, fmt.Sprintf("GIT_CONFIG_KEY_%d=%s", i, s.Key), fmt.Sprintf("GIT_CONFIG_VALUE_%d=%s", i, s.Value))
	}
	return env, cleanup, nil
}

// seconds is a time as git's settings take it, at least as long.
func seconds(d time.Duration) string {
	return strconv.Itoa(int((d + time.Second - 1) / time.Second))
}

// accessConfig hands a credential to git for one scheme, host and port alone,
// as a header that git and libcurl never pass on to another host. Whose
// certificates are trusted is for that host alone, too.
func (g *Git) accessConfig(a *core.Access) ([]Setting, error) {
	if a == nil {
		return nil, nil
	}
	u, err := url.Parse(a.URL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, nil
	}
	scope := "http." + u.Scheme + "://" + u.Host + "/."
	var settings []Setting
	if a.SkipCertificates {
		settings = append(settings, Setting{scope + "sslVerify", "false"})
	}
	if a.Authorities != "" && u.Scheme == "https" {
		file, err := g.hostAuthorities(a)
		if err != nil {
			return nil, err
		}
		settings = append(settings, Setting{scope + "sslCAInfo", file})
	}
	if !a.Secret.Empty() {
		pair := base64.StdEncoding.EncodeToString([]byte(basicUser(a) + ":" + a.Secret.Reveal()))
		settings = append(settings, Setting{scope + "extraHeader", "Authorization: Basic " + pair})
	}
	return settings, nil
}

// basicUser is the user name of a credential; hosts that look at the secret
// alone want one that is not empty.
func basicUser(a *core.Access) string {
	if a.Username == "" {
		return "git"
	}
	return a.Username
}

// sshCommand is what git runs for ssh URLs: never a question, host keys always
// checked, and the account's own keys unless others are given.
func (g *Git) sshCommand(a *core.Access) (command string, cleanup func(), err error) {
	cleanup = func() {}
	words := []string{
		"ssh", "-oBatchMode=yes", "-oStrictHostKeyChecking=yes",
		fmt.Sprintf("-oConnectTimeout=%d", max(1, int(g.opts.ConnectTimeout/time.Second))),
		"-oServerAliveInterval=15", "-oServerAliveCountMax=4",
		"-oControlMaster=no", "-oControlPath=none", "-oForwardAgent=no", "-oForwardX11=no",
		"-oClearAllForwardings=yes", "-oPermitLocalCommand=no",
	}
	// ssh takes the first value of an option that it is given.
	if a != nil && a.KnownHosts != "" {
		f, err := os.CreateTemp(filepath.Join(g.opts.Home, "tmp"), "known_hosts-*")
		if err != nil {
			return "", nil, fmt.Errorf("known hosts of ssh: %w", err)
		}
		name := f.Name()
		cleanup = func() { _ = os.Remove(name) }
		_, err = f.WriteString(strings.TrimRight(a.KnownHosts, "\n") + "\n")
		if cerr := f.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			cleanup()
			return "", nil, fmt.Errorf("known hosts of ssh: %w", err)
		}
		words = append(words, sshFile("UserKnownHostsFile", name), "-oGlobalKnownHostsFile=/dev/null")
	}
	words = append(words, g.hostOptions(a)...)
	words = append(words, g.sshDirOptions()...)
	for i, w := range words {
		words[i] = shellQuote(w)
	}
	return strings.Join(words, " "), cleanup, nil
}

func (g *Git) sshDirOptions() []string {
	dir := g.opts.SSHDir
	if dir == "" {
		return nil
	}
	config := "/dev/null"
	if isFile(filepath.Join(dir, "config")) {
		config = filepath.Join(dir, "config")
	}
	words := []string{"-F" + config, "-oIdentitiesOnly=yes"}
	for _, name := range []string{"id_ed25519", "id_ecdsa", "id_rsa"} {
		if key := filepath.Join(dir, name); isFile(key) {
			words = append(words, sshFile("IdentityFile", key))
		}
	}
	if known := filepath.Join(dir, "known_hosts"); isFile(known) {
		words = append(words, sshFile("UserKnownHostsFile", known))
	}
	return words
}

// sshFile makes an ssh option whose value is one file name: ssh splits it at
// blanks and expands "%" unless it is written so.
func sshFile(option, path string) string {
	return "-o" + option + `="` + strings.ReplaceAll(path, "%", "%%") + `"`
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

func shellQuote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
