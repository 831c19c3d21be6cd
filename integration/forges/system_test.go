package forges

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/sdk/forgetest/sshfake"
	"github.com/lorry-controller/lorry-controller/sdk/sdktest/suite"
)

// patience bounds every wait. It is no expectation: only a hang reaches it.
const patience = 90 * time.Second

var binDir string

func TestMain(m *testing.M) {
	sshfake.Relay()
	os.Exit(run(m))
}

// run builds the programs under test.
func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "lorry-forges")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	defer func() { _ = os.RemoveAll(dir) }()
	build := exec.Command("go", "build", "-o", dir+"/", "../../cmd/...")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the programs: %v\n%s", err, out)
		return 2
	}
	binDir = dir
	return m.Run()
}

// system is a running lorry-controller with minions of its own.
type system struct {
	dir     string
	address string
	cmd     *exec.Cmd
	out     *suite.Log
	done    chan struct{}
}

// start starts a core with lines of webapp.conf and the sections of
// lorry-controller.conf. further has more files of CONFGIT.
func start(t *testing.T, webapp []string, sections []map[string]any, further map[string]string) *system {
	t.Helper()
	s := &system{dir: t.TempDir()}
	confgit := s.confgit()
	raw, err := json.MarshalIndent(sections, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{"lorry-controller.conf": string(raw)}
	for name, content := range further {
		files[name] = content
	}
	for name, content := range files {
		file := filepath.Join(confgit, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	config := strings.Join(append([]string{
		"[config]", "data = " + filepath.Join(s.dir, "data"), "configuration-directory = " + confgit, "listen = 127.0.0.1:0",
		"log-level = debug", "minions = 4", "min-free = 0",
	}, webapp...), "\n") + "\n"
	file := filepath.Join(s.dir, "webapp.conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.stop(t) })
	s.launch(t)
	return s
}

// confgit is the directory of CONFGIT.
func (s *system) confgit() string { return filepath.Join(s.dir, "confgit") }

// launch starts the core, for the first time or once more.
func (s *system) launch(t *testing.T) {
	t.Helper()
	s.out, s.done = &suite.Log{}, make(chan struct{})
	s.cmd = exec.Command(filepath.Join(binDir, "lorry-controller"), "--config="+filepath.Join(s.dir, "webapp.conf"))
	s.cmd.Stdout, s.cmd.Stderr, s.cmd.Dir = s.out, s.out, s.dir
	s.cmd.Env = []string{"PATH=" + binDir + ":" + os.Getenv("PATH"), "HOME=" + s.dir, "GIT_CONFIG_NOSYSTEM=1", "TMPDIR=" + os.Getenv("TMPDIR")}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func(cmd *exec.Cmd, done chan struct{}) {
		defer close(done)
		_ = cmd.Wait()
	}(s.cmd, s.done)
	s.awaitAddress(t)
}

// kill ends the core as a power cut would.
func (s *system) kill(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-s.done
}

var listening = regexp.MustCompile(`http://127\.0\.0\.1:[1-9][0-9]*`)

// awaitAddress waits until the core says where it listens.
func (s *system) awaitAddress(t *testing.T) {
	t.Helper()
	await(t, "the core to listen", func() bool {
		select {
		case <-s.done:
			t.Fatalf("lorry-controller ended:\n%s", s.out)
		default:
		}
		s.address = listening.FindString(s.out.String())
		if s.address == "" {
			return false
		}
		resp, err := http.Get(s.address + "/-/ready")
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

// stop ends the core as an admin would.
func (s *system) stop(t *testing.T) {
	t.Helper()
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.done:
	case <-time.After(patience):
		_ = s.cmd.Process.Kill()
		<-s.done
		t.Error("lorry-controller does not end")
	}
	if t.Failed() {
		lines := slices.DeleteFunc(strings.Split(s.out.String(), "\n"), func(line string) bool { return strings.Contains(line, "request answered") })
		t.Logf("the last lines of the core:\n%s", strings.Join(lines[max(0, len(lines)-60):], "\n"))
	}
}

// await asks again and again until something is so.
func await(t *testing.T, what string, so func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !so(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// get asks the API and decodes the answer.
func (s *system) get(t *testing.T, path string, into any) {
	t.Helper()
	resp, err := http.Get(s.address + path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s, %v: %s", path, resp.Status, err, raw)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		t.Fatalf("GET %s: %v in %s", path, err, raw)
	}
}

// post is an order of an admin.
func (s *system) post(t *testing.T, path string, fields ...string) string {
	t.Helper()
	form := url.Values{}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	resp, err := http.PostForm(s.address+path, form)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("POST %s %v: %s, %v: %s", path, fields, resp.Status, err, raw)
	}
	return string(raw)
}

// lorry is what the API tells of one.
type lorry struct {
	Path        string `json:"path"`
	FromPath    string `json:"from_path"`
	LastRun     int64  `json:"last_run"`
	LastExit    string `json:"last_run_exit"`
	LastSuccess int64  `json:"last_success"`
	Failure     struct {
		Kind  string `json:"kind"`
		Cause string `json:"cause"`
		Hint  string `json:"hint"`
	} `json:"failure"`
	Running *int64  `json:"running_job"`
	Jobs    []int64 `json:"jobs"` // of a single Lorry alone
}

func (s *system) lorries(t *testing.T) map[string]lorry {
	t.Helper()
	all := map[string]lorry{}
	for cursor := ""; ; {
		var page struct {
			Lorries []lorry `json:"lorries"`
			Next    string  `json:"next"`
		}
		s.get(t, "/1.0/lorries?limit=1000&sort=path&cursor="+url.QueryEscape(cursor), &page)
		for _, l := range page.Lorries {
			all[l.Path] = l
		}
		if cursor = page.Next; cursor == "" {
			return all
		}
	}
}
