package forges

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/integration/gittest"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/giteafake"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/gitlabfake"
)

// trusting mirrors one repository of a forge with an authority of its own to
// another place on it. more is added to the section, webapp to the settings.
func trusting(t *testing.T, section map[string]any, webapp func(authority string) []string) (*system, forge) {
	t.Helper()
	fake := gitlabfake.New(gitlabfake.Options{Token: canary, Git: store(t, true)})
	f := forge{"gitlab", "fake", serve(t, fake), canary, fake.Requests}
	at, authority := secure(t, fake)
	seeds := gittest.NewRepo(t, filepath.Join(t.TempDir(), "seeds.git"))
	seeds.Branches(1, "first")
	f.create(t, "up", f.group(t, "up"), "one", "", false)
	f.push(t, seeds, "up/one", branch(0)+":refs/heads/main")
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(canary), 0o600); err != nil {
		t.Fatal(err)
	}
	whole := map[string]any{
		"type": "gitlab", "host": at.Host, "protocol": "https", "private-token": canary, "group": []string{"up"},
		"prefixmap": map[string]string{"up": "down"}, "ls-interval": "1d", "interval": "1d",
	}
	for key, value := range section {
		if value == "AUTHORITY" {
			value = authority
		}
		whole[key] = value
	}
	lines := append([]string{
		"downstream-host-type = gitlab", "downstream-http-url = " + at.String(), "gitlab-private-token-file = " + token,
	}, webapp(authority)...)
	return start(t, lines, []map[string]any{whole}, nil), f
}

// A host's ca-file is what git goes by as well, on both sides, whatever the
// minion's machine trusts. Without it, nothing is sent.
func TestOwnAuthorityReachesGit(t *testing.T) {
	t.Parallel()
	s, f := trusting(t, map[string]any{"ca-file": "AUTHORITY"}, func(authority string) []string {
		return []string{"downstream-setting = protocol=https, ca-file=" + authority}
	})
	await(t, "the mirror", func() bool { return s.lorries(t)["down/one"].LastRun > 0 })
	if l := s.lorries(t)["down/one"]; l.LastExit != "0" {
		t.Fatalf("exit %s: %+v", l.LastExit, l.Failure)
	}
	if from, to := f.refs(t, "up/one"), f.refs(t, "down/one"); from != to {
		t.Errorf("want\n%sgot\n%s", from, to)
	}
	found := map[string]string{"log": s.out.String()}
	files(t, filepath.Join(s.dir, "data"), found)
	for where, text := range found {
		if strings.Contains(text, "sslVerify=false") || strings.Contains(text, canary) {
			t.Errorf("%s has a token, or certificates were not checked", where)
		}
	}
}

func TestWithoutTheAuthorityNothingIsPushed(t *testing.T) {
	t.Parallel()
	s, f := trusting(t, map[string]any{"ca-file": "AUTHORITY"}, func(string) []string {
		return []string{"downstream-setting = protocol=https"}
	})
	await(t, "the failure", func() bool { return s.lorries(t)["down/one"].LastRun > 0 })
	if l := s.lorries(t)["down/one"]; l.LastExit == "0" || !strings.Contains(l.Failure.Cause, "certificate") {
		t.Errorf("exit %s: %+v", l.LastExit, l.Failure)
	}
	if _, there := f.facts(t, "down/one"); there {
		t.Error("something was made over a connection that nobody verified")
	}
}

// inbox takes the messages of notify-webhook.
type inbox struct {
	mu  sync.Mutex
	got []string
}

func (i *inbox) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	i.mu.Lock()
	defer i.mu.Unlock()
	if err == nil {
		i.got = append(i.got, string(raw))
	}
}

func (i *inbox) has(text string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return strings.Contains(strings.Join(i.got, "\n"), text)
}

// A token that ends in five days is told of by the API, on the page, by a
// figure, and to people.
func TestTokenThatEndsSoonIsToldEverywhere(t *testing.T) {
	t.Parallel()
	end := time.Now().Add(5 * 24 * time.Hour).UTC().Format(time.DateOnly)
	fake := gitlabfake.New(gitlabfake.Options{Token: canary, Expires: end})
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(canary), 0o600); err != nil {
		t.Fatal(err)
	}
	people := &inbox{}
	s := start(t, []string{
		"downstream-host-type = gitlab", "downstream-http-url = " + serve(t, fake), "gitlab-private-token-file = " + token,
		"notify-webhook = " + serve(t, people), "notify-delay = 1s",
	}, []map[string]any{}, nil)
	var list struct {
		Adapters []struct {
			Name     string   `json:"name"`
			Ends     int64    `json:"expires_at"`
			Warnings []string `json:"warnings"`
		} `json:"adapters"`
	}
	await(t, "the warning of the API", func() bool {
		s.get(t, "/1.0/adapters", &list)
		raw, err := json.Marshal(list)
		return err == nil && strings.Contains(string(raw), "expires on "+end)
	})
	await(t, "the message to people", func() bool { return people.has("credentials of 1 host end soon") && people.has(end) })
	for path, want := range map[string]string{
		"/1.0/status-html": "expires on " + end,
		"/1.0/problems":    "the credentials for this host stop working on " + end + ", in 4 days",
		"/metrics":         `lorry_adapter_credentials_end_seconds{host="downstream",type="gitlab"}`,
	} {
		if !strings.Contains(s.text(t, path), want) {
			t.Errorf("%s lacks %q", path, want)
		}
	}
}

// A credential goes over plain http to this machine alone, unless an admin
// wants it otherwise; and a proxy's login reaches the proxy and nobody else.
func TestCredentialsOverPlainHTTP(t *testing.T) {
	t.Parallel()
	for _, insecure := range []bool{false, true} {
		t.Run(fmt.Sprintf("insecure-credentials %v", insecure), func(t *testing.T) {
			t.Parallel()
			fake := giteafake.New(giteafake.Options{Token: canary})
			fake.AddRepo(giteafake.Repo{Path: "acme/one"})
			behind, err := url.Parse(serve(t, fake))
			if err != nil {
				t.Fatal(err)
			}
			p := &proxy{to: behind.Host, password: true}
			look := watchProcesses(t)
			s := start(t, []string{"downstream-host-type = local", "local-base-directory = " + t.TempDir()}, []map[string]any{{
				"type": "gitea", "host": "forge.example.com", "protocol": "http", "organization": []string{"acme"}, "private-token": canary,
				"proxy": serve(t, p), "proxy-username": "me", "proxy-password": "proxy-CANARY", "insecure-credentials": insecure,
				"prefixmap": map[string]string{"acme": "mirrors"}, "ls-interval": "1d", "interval": "1d",
			}}, nil)
			await(t, "the end of the listing", func() bool {
				_, there := s.lorries(t)["mirrors/one"]
				return there || strings.Contains(s.out.String(), "an Upstream Host could not be listed")
			})
			if _, there := s.lorries(t)["mirrors/one"]; there != insecure {
				t.Errorf("listed: %v", there)
			}
			if !insecure && !strings.Contains(s.out.String(), "no credential is sent to forge.example.com: anybody on the way could read it") {
				t.Error("the reason is not told")
			}
			p.mu.Lock()
			if len(p.seen) > 0 != insecure {
				t.Errorf("the proxy saw %q", p.seen)
			}
			p.mu.Unlock()
			found := map[string]string{"argv": look(), "log": s.out.String(), "adapters": s.text(t, "/1.0/adapters"), "status": s.text(t, "/1.0/status-html")}
			files(t, filepath.Join(s.dir, "data"), found)
			for where, text := range found {
				if strings.Contains(text, "CANARY") {
					t.Errorf("a credential is in %s", where)
				}
			}
		})
	}
}
