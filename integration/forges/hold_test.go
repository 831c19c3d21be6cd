package forges

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/lorry-controller/lorry-controller/integration/gittest"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/giteafake"
)

// between starts the system from one fake Gitea to a directory, beside Lorries
// of another host that goes on.
func between(t *testing.T, upstream forge, organisation string, further map[string]any) *system {
	t.Helper()
	root := t.TempDir()
	gittest.Seed(t, filepath.Join(root, "other.git"))
	other := gittest.NewServer(t, root)
	section := map[string]any{
		"type": "gitea", "host": upstream.host(), "protocol": "http", "http-url": upstream.address, "private-token": upstream.token,
		"organization": []string{organisation}, "prefixmap": map[string]string{organisation: "mirrors"}, "ls-interval": "1d", "interval": "1d",
	}
	for key, value := range further {
		section[key] = value
	}
	text := fmt.Sprintf(`{"other": {"type": "git", "url": "%s/other.git"}}`, strings.Replace(other.URL, "127.0.0.1", "localhost", 1))
	return start(t, []string{"downstream-host-type = local", "local-base-directory = " + t.TempDir()}, []map[string]any{
		section, {"type": "lorries", "prefix": "by-hand", "globs": []string{"*.lorry"}, "interval": "1d"},
	}, map[string]string{"other.lorry": text})
}

// seeded makes an organisation with repositories.
func seeded(t *testing.T, f forge, organisation string, n int) *gittest.Repo {
	t.Helper()
	seeds := gittest.NewRepo(t, filepath.Join(t.TempDir(), "seeds.git"))
	seeds.Branches(n, "first")
	id := f.group(t, organisation)
	for i := range n {
		f.create(t, organisation, id, name(i), "", false)
		f.push(t, seeds, organisation+"/"+name(i), branch(i)+":refs/heads/main")
	}
	return seeds
}

// ran waits until a Lorry has had more than so many jobs, all of which ended.
func (s *system) ran(t *testing.T, path string, more int) lorry {
	t.Helper()
	var l lorry
	await(t, fmt.Sprintf("%d jobs of %s", more+1, path), func() bool {
		if _, there := s.lorries(t)[path]; !there {
			return false
		}
		s.get(t, "/1.0/lorry/"+path, &l)
		return len(l.Jobs) > more && l.LastRun > 0 && l.Running == nil
	})
	return l
}

// api counts the requests of the adapters, not those of git.
func api(requests []string) (found []string) {
	for _, r := range requests {
		if strings.Contains(r, "/api/") {
			found = append(found, r)
		}
	}
	return found
}

// What is known is not asked again within the cache time, and a host that asks
// to be left alone is left alone, by listings, by jobs and by everything else.
func TestUnchangedAndHeldHostsAreNotAsked(t *testing.T) {
	t.Parallel()
	const n = 6
	fake, f := fakeGitea(t)
	seeds := seeded(t, f, "acme", n)
	s := between(t, f, "acme", nil)
	for i := range n {
		s.ran(t, "mirrors/"+name(i), 0)
	}
	fake.Forget()
	seeds.Commit(branch(0), "second")
	f.push(t, seeds, "acme/"+name(0), branch(0)+":refs/heads/main")
	for i := range 2 {
		s.post(t, "/1.0/retry", "path", "mirrors/"+name(i))
		s.ran(t, "mirrors/"+name(i), 1)
	}
	if asked := api(fake.Requests()); len(asked) > 0 {
		t.Errorf("jobs within the cache time asked the API: %q", asked)
	}

	// The host says that it has had enough.
	var refused atomic.Int64
	fake.Intercept(func(w http.ResponseWriter, _ *http.Request) bool {
		refused.Add(1)
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(http.StatusTooManyRequests)
		return true
	})
	s.post(t, "/1.0/force-ls-troves") // it answers when the host is held
	if refused.Load() != 1 {
		t.Fatalf("the host was asked %d times until it was known that it wants to be left alone", refused.Load())
	}
	held := func() bool {
		var l struct {
			Why struct {
				Reason string `json:"reason"`
				Detail string `json:"detail"`
			} `json:"why"`
		}
		s.post(t, "/1.0/retry", "path", "mirrors/"+name(0))
		s.get(t, "/1.0/lorry/mirrors/"+name(0), &l)
		return strings.Contains(l.Why.Reason+l.Why.Detail, "asks to be left alone")
	}
	await(t, "the host to be held", held)
	for i := range n {
		s.post(t, "/1.0/retry", "path", "mirrors/"+name(i))
		s.post(t, "/1.0/move-to-top", "path", "mirrors/"+name(i))
	}
	s.post(t, "/1.0/force-ls-troves")
	s.post(t, "/1.0/read-configuration")
	// Others go on meanwhile, and were asked for later.
	for more := range 3 {
		s.post(t, "/1.0/retry", "path", "by-hand/other")
		s.ran(t, "by-hand/other", 1+more)
	}
	if got := refused.Load(); got != 1 {
		t.Errorf("the host was asked %d times during its hold", got-1)
	}
}

// The token is found nowhere but in the requests' headers, also when the host
// redirects elsewhere, refuses, and quotes the token.
func TestTokenIsFoundNowhere(t *testing.T) {
	t.Parallel()
	fake, f := fakeGitea(t)
	seeded(t, f, "acme", 3)
	var strayed, carried atomic.Int64
	other := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		strayed.Add(1)
		if r.Header.Get("Authorization") != "" {
			carried.Add(1)
		}
		http.NotFound(w, r)
	}))
	down := giteafake.New(giteafake.Options{Token: canary, Git: store(t, false)})
	downstream := forge{"gitea", "fake", serve(t, down), canary, down.Requests}
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(canary), 0o600); err != nil {
		t.Fatal(err)
	}
	s := start(t, []string{
		"downstream-host-type = gitea", "downstream-http-url = " + downstream.address, "downstream-setting = protocol=http", "gitea-access-token-file = " + token,
	}, []map[string]any{{
		"type": "gitea", "host": f.host(), "protocol": "http", "http-url": f.address, "private-token": canary,
		"organization": []string{"acme"}, "prefixmap": map[string]string{"acme": "mirrors"}, "ls-interval": "1d", "interval": "1d",
	}}, nil)
	look := watchProcesses(t)
	for i := range 3 {
		if l := s.ran(t, "mirrors/"+name(i), 0); l.LastExit != "0" {
			t.Errorf("%s: %+v", l.Path, l.Failure)
		}
	}
	answers := []func(w http.ResponseWriter, r *http.Request) bool{
		func(w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, other+r.URL.RequestURI(), http.StatusFound)
			return true
		},
		func(w http.ResponseWriter, r *http.Request) bool {
			w.WriteHeader(http.StatusForbidden)
			_, _ = fmt.Fprintf(w, `{"message": "the token %s (%s) may not", "url": "http://u:%[1]s@x.invalid/"}`, canary, r.Header.Get("Authorization"))
			return true
		},
		func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Type", "text/html")
			_, _ = fmt.Fprintf(w, "<html>%s</html>", canary)
			return true
		},
	}
	for n, answer := range answers {
		for _, forge := range []*giteafake.Server{fake, down} {
			forge.Intercept(answer)
		}
		s.post(t, "/1.0/force-ls-troves")
		for i := range 3 {
			s.post(t, "/1.0/retry", "path", "mirrors/"+name(i))
			s.ran(t, "mirrors/"+name(i), n+1)
		}
	}
	if strayed.Load() > 0 || carried.Load() > 0 {
		t.Errorf("%d requests followed a redirect to another host, %d with the token", strayed.Load(), carried.Load())
	}
	found := map[string]string{"argv": look(), "log": s.out.String(), "requests": strings.Join(append(fake.Requests(), down.Requests()...), "\n")}
	for _, path := range []string{"/1.0/status", "/1.0/lorries", "/1.0/jobs", "/1.0/hosts", "/1.0/adapters", "/1.0/problems", "/1.0/failures", "/1.0/status-html", "/metrics"} {
		found[path] = s.text(t, path)
	}
	for id := 1; id <= 12; id++ {
		found[fmt.Sprint("job ", id)] = s.text(t, fmt.Sprintf("/1.0/job/%d", id))
	}
	files(t, filepath.Join(s.dir, "data"), found)
	for where, text := range found {
		if i := strings.Index(text, "CANARY"); i >= 0 {
			t.Errorf("%s: …%s…", where, text[max(0, i-100):min(len(text), i+60)])
		}
	}
	t.Logf("looked at %d places, among them %d bytes of log and %d of argv", len(found), len(found["log"]), len(found["argv"]))
}
