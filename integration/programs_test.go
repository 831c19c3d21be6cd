package integration

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// patience bounds every wait of a script. It is no expectation: only a hang
// reaches it.
const patience = 90 * time.Second

// apiMain is "api METHOD URL [NAME=VALUE...]": one request, the body on
// standard output, an error for an answer that is neither 2xx nor 3xx.
func apiMain(args []string) error {
	if len(args) < 2 {
		return errors.New("usage: api METHOD URL [NAME=VALUE...]")
	}
	status, body, err := request(args[0], args[1], args[2:])
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stdout, strings.TrimRight(body, "\n"))
	if status >= 400 {
		return fmt.Errorf("%s %s: status %d", args[0], args[1], status)
	}
	return nil
}

func request(method, address string, fields []string) (int, string, error) {
	form := url.Values{}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, "=")
		form.Add(name, value)
	}
	var body io.Reader
	if len(fields) > 0 {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequest(method, address, body)
	if err != nil {
		return 0, "", err
	}
	if file := os.Getenv("LORRY_TOKEN_FILE"); file != "" {
		token, err := os.ReadFile(file)
		if err != nil {
			return 0, "", err
		}
		req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	client := &http.Client{
		Timeout:       patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	answer, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(text), err
}

// waitforMain is "waitfor URL REGEXP" or "waitfor file NAME REGEXP": it asks
// again and again until the text matches, and shows the last one if it never does.
func waitforMain(args []string) error {
	if len(args) == 3 && args[0] == "file" {
		return waitfor(args[2], func() (string, error) {
			text, err := os.ReadFile(args[1])
			return string(text), err
		})
	}
	if len(args) != 2 {
		return errors.New("usage: waitfor URL REGEXP | waitfor file NAME REGEXP")
	}
	return waitfor(args[1], func() (string, error) {
		_, body, err := request(http.MethodGet, args[0], nil)
		return body, err
	})
}

func waitfor(pattern string, get func() (string, error)) error {
	want, err := regexp.Compile(pattern)
	if err != nil {
		return err
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	deadline := time.Now().Add(patience)
	for {
		text, err := get()
		if err == nil && want.MatchString(text) {
			fmt.Fprintln(os.Stdout, strings.TrimRight(text, "\n"))
			return nil
		}
		if time.Now().After(deadline) {
			if err != nil {
				return fmt.Errorf("never matched %q: %w", pattern, err)
			}
			return fmt.Errorf("never matched %q; last:\n%s", pattern, text)
		}
		<-tick.C
	}
}

// seedMain is "seed DIR [COMMITS [BRANCHES]]": a bare repository with a linear
// history on main, that many further branches, and a tag for each tenth commit.
func seedMain(args []string) error {
	if len(args) < 1 || len(args) > 3 {
		return errors.New("usage: seed DIR [COMMITS [BRANCHES]]")
	}
	commits, branches := 3, 0
	for i, n := range []*int{&commits, &branches} {
		if len(args) > i+1 {
			var err error
			if *n, err = strconv.Atoi(args[i+1]); err != nil {
				return err
			}
		}
	}
	if err := git("", nil, "init", "-q", "--bare", "--initial-branch=main", args[0]); err != nil {
		return err
	}
	var b strings.Builder
	for i := 1; i <= commits; i++ {
		text := fmt.Sprintf("content %d of %s\n", i, filepath.Base(args[0]))
		fmt.Fprintf(&b, "commit refs/heads/main\nmark :%d\ncommitter A Person <person@example.com> %d +0000\ndata 2\nc\n", i, 1700000000+i)
		fmt.Fprintf(&b, "M 644 inline file%d\ndata %d\n%s\n", i%50, len(text), text)
		if i%10 == 0 {
			fmt.Fprintf(&b, "reset refs/tags/v%d\nfrom :%d\n\n", i/10, i)
		}
	}
	for i := range branches {
		fmt.Fprintf(&b, "reset refs/heads/branch%d\nfrom :%d\n\n", i, 1+i%commits)
	}
	return git(args[0], strings.NewReader(b.String()), "fast-import", "--quiet")
}

func git(dir string, stdin io.Reader, args ...string) error {
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Stdin, cmd.Stderr = dir, stdin, os.Stderr
	return cmd.Run()
}

// gitdMain is "gitd ADDR DIR": a real smart-HTTP server, git http-backend
// behind net/http/cgi. Besides the repositories of DIR it serves /html/… (a web
// page for every request), /refused/… (401) and /hang/… (silence).
func gitdMain(args []string) error {
	if len(args) != 2 {
		return errors.New("usage: gitd ADDR DIR")
	}
	root, err := filepath.Abs(args[1])
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	backend, err := gittest.Backend(root)
	if err != nil {
		return err
	}
	mux.Handle("/", backend)
	mux.HandleFunc("/html/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, "<html><body>Please log in</body></html>")
	})
	mux.HandleFunc("/refused/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
		http.Error(w, "no", http.StatusUnauthorized)
	})
	mux.HandleFunc("/hang/", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	server := &http.Server{Addr: args[0], Handler: mux, ReadHeaderTimeout: patience}
	return server.ListenAndServe()
}

// goneMain is "gone DIR PATTERN": waits until no process that works below DIR
// has PATTERN in its command line, and shows those that stay.
func goneMain(args []string) error {
	if len(args) != 2 {
		return errors.New("usage: gone DIR PATTERN")
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); ; <-tick.C {
		left := processes(args[0], args[1])
		if len(left) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("still there: %v", left)
		}
	}
}

// sameMain is "same REPO REPO": fails unless both have the same heads and
// tags, the second one's objects are all there, and HEAD names the same branch.
func sameMain(args []string) error {
	if len(args) != 2 {
		return errors.New("usage: same REPO REPO")
	}
	var refs [2]string
	for i, dir := range args {
		out, err := exec.Command("git", "--git-dir="+dir, "for-each-ref", "--format=%(objectname) %(refname)", "refs/heads", "refs/tags").Output()
		if err != nil {
			return fmt.Errorf("reading the refs of %s: %w", dir, err)
		}
		head, err := exec.Command("git", "--git-dir="+dir, "symbolic-ref", "HEAD").Output()
		if err != nil {
			return fmt.Errorf("reading HEAD of %s: %w", dir, err)
		}
		refs[i] = string(head) + string(out)
	}
	if refs[0] != refs[1] {
		return fmt.Errorf("%s has\n%s%s has\n%s", args[0], refs[0], args[1], refs[1])
	}
	if strings.Count(refs[0], "\n") < 2 {
		return fmt.Errorf("%s has no refs to compare", args[0])
	}
	if out, err := exec.Command("git", "--git-dir="+args[1], "fsck", "--strict", "--no-dangling").CombinedOutput(); err != nil {
		return fmt.Errorf("git fsck of %s: %w\n%s", args[1], err, out)
	}
	return nil
}

// process is one process of a script.
type process struct {
	pid     int
	command string
}

// processes finds those whose command line holds pattern and that belong to
// dir: they work below it or name it in their command line.
func processes(dir, pattern string) []process {
	var found []process
	entries, _ := filepath.Glob("/proc/[0-9]*")
	for _, e := range entries {
		pid, err := strconv.Atoi(filepath.Base(e))
		if err != nil || pid == os.Getpid() {
			continue
		}
		raw, err := os.ReadFile(filepath.Join(e, "cmdline"))
		if err != nil || len(raw) == 0 {
			continue // gone, or a zombie
		}
		command := strings.ReplaceAll(strings.TrimRight(string(raw), "\x00"), "\x00", " ")
		if strings.HasPrefix(filepath.Base(command), "gone ") || !strings.Contains(command, pattern) {
			continue
		}
		cwd, _ := os.Readlink(filepath.Join(e, "cwd"))
		// The slash keeps a script apart from one whose name begins the same.
		if strings.HasPrefix(cwd+"/", dir+"/") || strings.Contains(command, dir+"/") {
			found = append(found, process{pid, command})
		}
	}
	return found
}
