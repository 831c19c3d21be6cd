package gitea

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ory/dockertest/v3"
	"github.com/ory/dockertest/v3/docker"

	"github.com/lorry-controller/lorry-controller/integration/realforge"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/tool"
)

const (
	admin        = "lorry-admin"
	password     = "A-Passw0rd-for-tests"
	startTimeout = 2 * time.Minute
)

// Images are those that are tried where an engine is.
func Images() []string {
	return []string{"gitea/gitea:1.19.4", "gitea/gitea:1.22.6", "gitea/gitea:1.24.6", "codeberg.org/forgejo/forgejo:11", "codeberg.org/forgejo/forgejo:13"}
}

// Given gives the server that is there already, if one is named.
func Given() (realforge.Server, bool) {
	url := strings.TrimRight(os.Getenv("LORRY_TEST_GITEA_URL"), "/")
	return realforge.Server{Name: "given", URL: url, Token: os.Getenv("LORRY_TEST_GITEA_TOKEN")}, url != ""
}

// StartProgram starts a server from a program in a temporary directory, with
// SQLite, on loopback. It ends with the test.
func StartProgram(t *testing.T, program string) realforge.Server {
	t.Helper()
	dir := t.TempDir()
	port := freePort(t)
	config := filepath.Join(dir, "app.ini")
	// ROOT_URL is wrong on purpose, as behind many proxies.
	ini := fmt.Sprintf(`RUN_USER = %s
I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true
WORK_PATH = %s
[database]
DB_TYPE = sqlite3
PATH = %[2]s/gitea.db
[server]
HTTP_ADDR = 127.0.0.1
HTTP_PORT = %[3]d
ROOT_URL = http://wrong.invalid:9/
LOCAL_ROOT_URL = http://127.0.0.1:%[3]d/
DISABLE_SSH = true
OFFLINE_MODE = true
STATIC_ROOT_PATH = %[4]s
[security]
INSTALL_LOCK = true
SECRET_KEY = for-tests-alone
[repository]
ROOT = %[2]s/repositories
[log]
MODE = console
LEVEL = warn
`, userName(t), dir, port, os.Getenv("LORRY_TEST_GITEA_STATIC"))
	if err := os.WriteFile(config, []byte(ini), 0o600); err != nil {
		t.Fatal(err)
	}
	log := &bytes.Buffer{}
	web := exec.Command(program, "web", "--config", config)
	web.Dir, web.Stdout, web.Stderr = dir, log, log
	web.Env = append(os.Environ(), "GITEA_WORK_DIR="+dir)
	web.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := web.Start(); err != nil {
		t.Fatalf("starting %s: %v", program, err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-web.Process.Pid, syscall.SIGKILL)
		_ = web.Wait()
		if t.Failed() {
			t.Logf("log of %s:\n%s", program, log)
		}
	})
	s := realforge.Server{Name: "program", URL: fmt.Sprintf("http://127.0.0.1:%d", port)}
	if err := await(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	command := func(args ...string) error {
		cmd := exec.CommandContext(t.Context(), program, append(args, "--config", config)...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "GITEA_WORK_DIR="+dir)
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, out)
		}
		return nil
	}
	if err := command(createAdmin()...); err != nil {
		t.Fatal(err)
	}
	if err := makeToken(t.Context(), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func createAdmin() []string {
	return []string{"admin", "user", "create", "--username", admin, "--password", password, "--email", "admin@example.com", "--admin", "--must-change-password=false"}
}

// StartImage starts a server from an image, in the engine at an address ("" is
// the machine's own); it ends with the test. Without an engine, or where the
// image can't be pulled, the test is skipped, unless LORRY_TEST_REQUIRE names
// gitea: "all" are the tools that packages bring, and no package brings a Gitea.
func StartImage(t *testing.T, engine, image string) realforge.Server {
	t.Helper()
	settings := []string{"security__INSTALL_LOCK=true", "server__ROOT_URL=http://wrong.invalid:9/", "database__DB_TYPE=sqlite3"}
	var env []string
	for _, prefix := range []string{"GITEA__", "FORGEJO__"} {
		for _, s := range settings {
			env = append(env, prefix+s)
		}
	}
	container, err := realforge.Container(t, engine, image, dockertest.RunOptions{Env: env, ExposedPorts: []string{"3000/tcp"}}, func(*docker.HostConfig) {})
	if err != nil {
		tool.Missing(t, err.Error(), "gitea")
	}
	s := realforge.Server{Name: image, URL: "http://" + net.JoinHostPort(container.GetBoundIP("3000/tcp"), container.GetPort("3000/tcp"))}
	if err := await(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	program := "gitea"
	if strings.Contains(image, "forgejo") {
		program = "forgejo"
	}
	code, err := container.Exec(append([]string{"su-exec", "git", program}, createAdmin()...), dockertest.ExecOptions{StdOut: &out, StdErr: &out})
	if err != nil || code != 0 {
		t.Fatalf("making an admin in %s: exit code %d, %v: %s", image, code, err, &out)
	}
	if err := makeToken(t.Context(), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// await waits until the server answers.
func await(ctx context.Context, s realforge.Server) error {
	return s.Await(ctx, "/api/v1/version", http.StatusOK, 100*time.Millisecond, startTimeout)
}

// makeToken makes a token of all scopes for the admin.
func makeToken(ctx context.Context, s *realforge.Server) error {
	for _, scopes := range []any{[]string{"all"}, nil} { // 1.18 and before know no scopes
		body, err := json.Marshal(map[string]any{"name": fmt.Sprintf("t%d", time.Now().UnixNano()), "scopes": scopes})
		if err != nil {
			return err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+"/api/v1/users/"+admin+"/tokens", bytes.NewReader(body))
		if err != nil {
			return err
		}
		req.SetBasicAuth(admin, password)
		req.Header.Set("Content-Type", "application/json")
		resp, err := realforge.Client().Do(req)
		if err != nil {
			return err
		}
		var token struct {
			SHA1 string `json:"sha1"`
		}
		err = json.NewDecoder(resp.Body).Decode(&token)
		_ = resp.Body.Close()
		if err == nil && token.SHA1 != "" {
			s.Token = token.SHA1
			return nil
		}
	}
	return fmt.Errorf("%s gives no token", s.Name)
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port //nolint:forcetypeassert // of a TCP listener
}

func userName(t *testing.T) string {
	t.Helper()
	u, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	return u.Username
}
