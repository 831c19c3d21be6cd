package gerrit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/sdk/forgetest/tool"
)

// Version is the version of Gerrit that is started.
const Version = "3.9.1"

// Artifacts are what a Gerrit consists of, as coordinates of Maven: the same
// classes as in its war. To have them:
//
//	mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:3.8.1:get -Dtransitive=false -Dartifact=COORDINATES
func Artifacts() []string {
	return []string{
		"com.google.gerrit:gerrit-plugin-api:" + Version,
		"com.google.gerrit:gerrit-acceptance-framework:" + Version,
		"org.bouncycastle:bcprov-jdk18on:1.72",
		"org.bouncycastle:bcutil-jdk18on:1.72",
		"org.bouncycastle:bcpkix-jdk18on:1.72",
		"org.bouncycastle:bcpg-jdk18on:1.72",
	}
}

// classpath finds the artifacts in the local Maven repository.
func classpath() (string, error) {
	repository := os.Getenv("LORRY_TEST_MAVEN_REPOSITORY")
	if repository == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		repository = filepath.Join(home, ".m2", "repository")
	}
	var jars []string
	for _, a := range Artifacts() {
		part := strings.Split(a, ":")
		jar := filepath.Join(repository, strings.ReplaceAll(part[0], ".", "/"), part[1], part[2], part[1]+"-"+part[2]+".jar")
		if _, err := os.Stat(jar); err != nil {
			return "", fmt.Errorf("%s is not in the local Maven repository", a)
		}
		jars = append(jars, jar)
	}
	return strings.Join(jars, ":"), nil
}

// Server is a running Gerrit with an admin "admin" and a user "low".
type Server struct {
	Web string // root of its web server, without a trailing slash
	// SSH is its ssh server's address, but for the user.
	SSHHost, KnownHosts, IdentityFile string

	client *http.Client
	dir    string
	log    bytes.Buffer
	admins string // the group's identity
}

// Start starts a Gerrit on loopback that ends with the test, or skips the test
// when there is none to start. It must be there when LORRY_TEST_REQUIRE names
// gerrit; "all" is not enough, because it is a large download.
func Start(t *testing.T) *Server {
	t.Helper()
	jars, err := classpath()
	for _, program := range []string{"java", "javac", "ssh-keygen"} { // a JDK: java alone can't run a source file
		if err == nil {
			_, err = exec.LookPath(program)
		}
	}
	if err != nil {
		tool.Missing(t, "there is no Gerrit to start: "+err.Error(), "gerrit")
	}
	s := &Server{dir: t.TempDir(), client: &http.Client{Transport: &http.Transport{}}}
	launch, err := filepath.Abs("testdata/Launch.java")
	if err != nil {
		t.Fatal(err)
	}
	java := func(args ...string) *exec.Cmd {
		cmd := exec.Command("java", append([]string{"-Xmx512m", "-cp", jars, launch}, args...)...)
		cmd.Dir, cmd.Env = s.dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir, "LC_ALL=C.UTF-8"}
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		return cmd
	}
	site := filepath.Join(s.dir, "site")
	if out, err := java("Init", "-d", site, "--batch", "--dev", "--no-auto-start", "--skip-plugins", "--skip-all-downloads").CombinedOutput(); err != nil {
		t.Fatalf("making a site: %v\n%s", err, out)
	}
	s.configure(t, site)
	daemon := java("Daemon", "-d", site, "--console-log", "--enable-httpd", "--enable-sshd")
	daemon.Stdout, daemon.Stderr = &s.log, &s.log
	s.run(t, daemon)
	s.accounts(t)
	return s
}

// configure puts the servers on free ports of loopback.
func (s *Server) configure(t *testing.T, site string) {
	t.Helper()
	web, ssh := freePort(t), freePort(t)
	s.Web, s.SSHHost = "http://"+web, ssh
	for key, value := range map[string]string{
		"sshd.listenAddress": ssh, "httpd.listenUrl": s.Web + "/", "gerrit.canonicalWebUrl": s.Web + "/",
		"receive.maxBatchCommits": "100", // so that a small push needs skip-validation
	} {
		s.git(t, "config", "-f", filepath.Join(site, "etc/gerrit.config"), key, value)
	}
	keys, err := filepath.Glob(filepath.Join(site, "etc/ssh_host_*_key.pub"))
	if err != nil || len(keys) == 0 {
		t.Fatalf("gerrit has made no host keys: %v", err)
	}
	host, port, _ := net.SplitHostPort(ssh)
	var known strings.Builder
	for _, key := range keys {
		raw, err := os.ReadFile(key)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&known, "[%s]:%s %s\n", host, port, strings.TrimSpace(string(raw)))
	}
	s.KnownHosts, s.IdentityFile = filepath.Join(s.dir, "known_hosts"), filepath.Join(s.dir, "id")
	if err := os.WriteFile(s.KnownHosts, []byte(known.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", s.IdentityFile).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v\n%s", err, out)
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// run starts the daemon and waits until it answers.
func (s *Server) run(t *testing.T, daemon *exec.Cmd) {
	t.Helper()
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = daemon.Wait()
	}()
	t.Cleanup(func() {
		_ = syscall.Kill(-daemon.Process.Pid, syscall.SIGKILL)
		<-ended
		s.client.CloseIdleConnections()
		if t.Failed() {
			t.Logf("gerrit:\n%s", s.log.Bytes()[max(0, s.log.Len()-4000):])
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if err := s.try(ctx, "admin", "secret", http.MethodGet, "config/server/version", "", nil); err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ended:
			t.Fatal("gerrit ended")
		case <-ctx.Done():
			t.Fatal("gerrit does not answer")
		}
	}
}

// accounts gives both users the ssh key, and makes a parent project that grants
// the admins what the adapter's README asks for.
func (s *Server) accounts(t *testing.T) {
	t.Helper()
	public, err := os.ReadFile(s.IdentityFile + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	s.must(t, http.MethodPut, "accounts/low", "application/json", `{"http_password":"low-password"}`)
	for _, account := range []string{"self", "low"} {
		s.must(t, http.MethodPost, "accounts/"+account+"/sshkeys", "text/plain", string(public))
	}
	s.must(t, http.MethodPut, "projects/mirrors", "application/json", `{"permissions_only":true}`)
	permissions := map[string]any{}
	var group struct {
		ID string `json:"id"`
	}
	if err := s.try(t.Context(), "admin", "secret", http.MethodGet, "groups/Administrators", "", &group); err != nil {
		t.Fatal(err)
	}
	s.admins = group.ID
	for _, right := range Rights() {
		permissions[right] = map[string]any{"rules": map[string]any{group.ID: map[string]any{"action": "ALLOW", "force": right == "push"}}}
	}
	sections := map[string]any{}
	for _, refs := range []string{"refs/heads/*", "refs/tags/*"} {
		sections[refs] = map[string]any{"permissions": permissions}
	}
	raw, err := json.Marshal(map[string]any{"add": sections})
	if err != nil {
		t.Fatal(err)
	}
	s.must(t, http.MethodPost, "projects/mirrors/access", "application/json", string(raw))
}

// Rights are what the mirroring user needs on refs/heads/* and refs/tags/*, by
// the names of Gerrit's project.config.
func Rights() []string {
	return []string{
		"read", "push", "create", "delete", "pushMerge", "forgeAuthor", "forgeCommitter", "forgeServerAsCommitter", "createTag", "createSignedTag",
	}
}

func (s *Server) must(t *testing.T, method, path, contentType, body string) {
	t.Helper()
	if err := s.call(t.Context(), "admin", "secret", method, path, contentType, body, nil); err != nil {
		t.Fatal(err)
	}
}

func (s *Server) try(ctx context.Context, user, password, method, path, body string, into any) error {
	return s.call(ctx, user, password, method, path, "application/json", body, into)
}

func (s *Server) call(ctx context.Context, user, password, method, path, contentType, body string, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, s.Web+"/a/"+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.SetBasicAuth(user, password)
	req.Header.Set("Content-Type", contentType)
	resp, err := s.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return err
	case resp.StatusCode > 299:
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, raw)
	case into == nil:
		return nil
	}
	_, raw, ok := bytes.Cut(raw, []byte("\n"))
	if !ok {
		return errors.New("no line before the JSON")
	}
	return json.Unmarshal(raw, into)
}

// git runs git without anything of the user's and gives what it says.
func (s *Server) git(t *testing.T, args ...string) string {
	t.Helper()
	out, err := s.tryGit(args...)
	if err != nil {
		t.Fatalf("git %q: %v\n%s", args, err, out)
	}
	return out
}

func (s *Server) tryGit(args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir, "LC_ALL=C", "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_SSH_COMMAND=ssh -F /dev/null -o BatchMode=yes -o IdentitiesOnly=yes -o UserKnownHostsFile=" + s.KnownHosts + " -i " + s.IdentityFile,
		"GIT_AUTHOR_NAME=Author", "GIT_AUTHOR_EMAIL=author@example.com", "GIT_COMMITTER_NAME=Committer", "GIT_COMMITTER_EMAIL=committer@example.com",
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}
