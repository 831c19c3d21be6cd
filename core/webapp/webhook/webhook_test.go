package webhook_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/webapp/auth"
	"github.com/lorry-controller/lorry-controller/core/webapp/exchange"
	"github.com/lorry-controller/lorry-controller/core/webapp/webhook"
)

const secret = "s3cr3t-of-the-forge"

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// recorded keeps the pushes that it is told of; the real queue is tested with
// both databases.
type recorded struct {
	pushes []queue.Push
	err    error
}

func (q *recorded) Pushed(_ context.Context, p queue.Push) (queue.PushResult, error) {
	q.pushes = append(q.pushes, p)
	return queue.PushResult{Lorries: len(p.Repositories), Hosts: len(p.Hosts)}, q.err
}

// world is one set of webhooks and what they did.
type world struct {
	*recorded
	hooks  *webhook.Webhooks
	counts map[string]int
	clock  time.Time
}

func newWorld() *world {
	w := &world{recorded: &recorded{}, counts: map[string]int{}, clock: now}
	w.hooks = webhook.New(webhook.Options{
		Queue: w.recorded, Clock: func() time.Time { return w.clock }, Log: hclog.NewNullLogger(),
		Count: func(forge, result string) { w.counts[forge+" "+result]++ },
		Secrets: func(name string) ([]core.Secret, error) {
			if name != "git.example.com" {
				return nil, nil
			}
			return []core.Secret{core.NewSecret("the old one"), core.NewSecret(secret)}, nil
		},
	})
	return w
}

// send sends a webhook and gives the answer's status and body.
func (w *world) send(forge, name, body string, header ...string) (int, string) {
	r := httptest.NewRequest(http.MethodPost, "/1.0/webhook", strings.NewReader(body))
	caller := auth.Caller{}
	for _, line := range header {
		key, value, _ := strings.Cut(line, ": ")
		switch key {
		case "query":
			r.URL.RawQuery = value
		case "proven":
			caller.Proven = true
		default:
			r.Header.Set(key, value)
		}
	}
	request := &exchange.Request{Request: r, Caller: caller, Param: func(key string) string {
		return map[string]string{"forge": forge, "name": name}[key]
	}}
	answer, err := w.hooks.Receive(request)
	response := httptest.NewRecorder()
	if err != nil {
		answer = exchange.Error(exchange.Status(err), err)
	}
	answer.WriteTo(response, r)
	return response.Code, response.Body.String()
}

func sum(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

func inHex(text string) string { return hex.EncodeToString(sum([]byte(secret), text)) }

// Shortened from the forges' own documentation of their payloads.
const (
	gitlabPush = `{"object_kind":"push","event_name":"push","ref":"refs/heads/main","project":{"id":15,"path_with_namespace":"Group/Project",
		"web_url":"https://git.example.com/Group/Project","git_ssh_url":"git@git.example.com:Group/Project.git","git_http_url":"https://git.example.com/Group/Project.git"},
		"repository":{"url":"git@git.example.com:Group/Project.git","homepage":"https://git.example.com/Group/Project"}}`
	gitlabCreate = `{"event_name":"project_create","name":"p","path_with_namespace":"group/p","project_id":74}`
	giteaPush    = `{"ref":"refs/heads/main","repository":{"id":1,"full_name":"group/project","clone_url":"https://git.example.com/group/project.git",
		"ssh_url":"ssh://git@git.example.com:2222/group/project.git","html_url":"https://git.example.com/group/project"}}`
	giteaCreated = `{"action":"created","repository":{"full_name":"group/new","clone_url":"https://git.example.com/group/new.git"}}`
	githubPing   = `{"zen":"Design for failure.","hook_id":1,"repository":{"full_name":"group/project"}}`
	gerritPush   = `{"type":"ref-updated","eventCreatedOn":1795348800,"refUpdate":{"oldRev":"1","newRev":"2","refName":"refs/heads/main","project":"group/project"}}`
)

// found is what is looked for after a push to group/project.
var found = queue.Push{
	Repositories: []string{"git.example.com/group/project"},
	Generated:    []queue.HostPath{{Host: "git.example.com", Path: "group/project"}},
}

func TestEveryForgeIsUnderstood(t *testing.T) {
	t.Parallel()
	stamp := fmt.Sprint(now.Unix())
	key := []byte("the key of 24 bytes or so")
	whsec := "whsec_" + base64.StdEncoding.EncodeToString(key)
	form := "payload=" + strings.NewReplacer(`"`, "%22", " ", "+", "\n", "", "\t", "").Replace(giteaPush)
	canonical := found
	canonical.Generated = []queue.HostPath{{Host: "git.example.com", Path: "Group/Project"}}
	listing := queue.Push{Hosts: []string{"git.example.com"}}
	for _, test := range []struct {
		name, forge, body string
		header            []string
		status            int
		want              []queue.Push
	}{
		{"gitlab push", "gitlab", gitlabPush, []string{"X-Gitlab-Token: " + secret}, 202, []queue.Push{canonical}},
		{"gitlab, signed", "gitlab", gitlabPush, []string{
			"webhook-id: 7", "webhook-timestamp: " + stamp,
			"webhook-signature: v1,AAAA v1," + base64.StdEncoding.EncodeToString(sum([]byte(secret), "7."+stamp+"."+gitlabPush)),
		}, 202, []queue.Push{canonical}},
		{"gitlab, signed with another key", "gitlab", gitlabPush, []string{
			"webhook-id: 7", "webhook-timestamp: " + stamp,
			"webhook-signature: v1," + base64.StdEncoding.EncodeToString(sum(key, "7."+stamp+"."+gitlabPush)),
		}, 403, nil},
		{"gitlab, another secret in that form", "gitlab", gitlabPush, []string{"X-Gitlab-Token: " + whsec}, 403, nil},
		{"gitlab project", "gitlab", gitlabCreate, []string{"X-Gitlab-Token: " + secret}, 202, []queue.Push{listing}},
		{"gitlab issue", "gitlab", `{"object_kind":"issue"}`, []string{"X-Gitlab-Token: " + secret}, 200, nil},
		{"gitea push", "gitea", giteaPush, []string{"X-Gitea-Event: push", "X-Gitea-Signature: " + inHex(giteaPush)}, 202, []queue.Push{found}},
		{"forgejo push", "gitea", giteaPush, []string{"X-Forgejo-Event: push", "X-Forgejo-Signature: " + inHex(giteaPush)}, 202, []queue.Push{found}},
		{"gitea, as a form", "gitea", form, []string{
			"X-Gitea-Event: push", "X-Gitea-Signature: " + inHex(form), "Content-Type: application/x-www-form-urlencoded",
		}, 202, []queue.Push{found}},
		{"gitea repository", "gitea", giteaCreated, []string{"X-Gitea-Event: repository", "X-Gitea-Signature: " + inHex(giteaCreated)}, 202, []queue.Push{listing}},
		{"github push", "github", giteaPush, []string{"X-GitHub-Event: push", "X-Hub-Signature-256: sha256=" + inHex(giteaPush)}, 202, []queue.Push{found}},
		{"github ping", "github", githubPing, []string{"X-GitHub-Event: ping", "X-Hub-Signature-256: sha256=" + inHex(githubPing)}, 200, nil},
		{"github, the old signature alone", "github", giteaPush, []string{"X-GitHub-Event: push", "X-Hub-Signature: sha1=00"}, 401, nil},
		{"plain form", "plain", "url=git@git.example.com:group/project.git", []string{"X-Lorry-Token: " + secret}, 202, []queue.Push{{Repositories: found.Repositories}}},
		{"plain JSON, signed", "plain", `{"host": "git.example.com", "path": "group/project"}`, []string{
			"X-Lorry-Timestamp: " + stamp,
			"X-Lorry-Signature-256: sha256=" + inHex(stamp+`.{"host": "git.example.com", "path": "group/project"}`),
		}, 202, []queue.Push{found}},
		{"plain host", "plain", "host=git.example.com", []string{"X-Lorry-Token: " + secret}, 202, []queue.Push{listing}},
		{"plain nothing", "plain", "a=b", []string{"X-Lorry-Token: " + secret}, 400, nil},
		{"plain ping", "plain", "ping=1", []string{"X-Lorry-Token: " + secret}, 200, nil},
		{"plain with a token of the API", "plain", "host=git.example.com", []string{"proven: yes"}, 202, []queue.Push{listing}},
		{"not JSON", "gitlab", "<html>", []string{"X-Gitlab-Token: " + secret}, 400, nil},
		{"no such forge", "sourceforge", "", nil, 404, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			status, body := w.send(test.forge, "git.example.com", test.body, test.header...)
			if status != test.status {
				t.Errorf("status %d, want %d: %s", status, test.status, body)
			}
			if diff := cmp.Diff(test.want, w.pushes); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestGerritIsUnderstood(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.clock = time.Unix(1795348800, 0).Add(time.Minute)
	status, body := w.send("gerrit", "git.example.com", gerritPush, "query: token="+secret)
	if status != 202 {
		t.Errorf("status %d: %s", status, body)
	}
	want := []queue.Push{{
		Repositories: []string{"git.example.com/a/group/project", "git.example.com/group/project"},
		Generated:    []queue.HostPath{{Host: "git.example.com", Path: "group/project"}, {Host: "git.example.com", Path: "a/group/project"}},
	}}
	if diff := cmp.Diff(want, w.pushes); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	w.clock = w.clock.Add(time.Hour)
	if status, body := w.send("gerrit", "git.example.com", gerritPush, "query: token="+secret); status != 403 || !strings.Contains(body, "too far from now") {
		t.Errorf("an old event: %d %s", status, body)
	}
}

func TestWhoDoesNotKnowTheSecretIsTold(t *testing.T) {
	t.Parallel()
	old := fmt.Sprint(now.Add(-6 * time.Minute).Unix())
	for _, test := range []struct {
		forge, name, want string
		header            []string
		status            int
	}{
		{"gitea", "git.example.com", "X-Gitea-Signature", nil, 401},
		{"gitea", "git.example.com", "its secret is another one", []string{"X-Gitea-Signature: 00"}, 403},
		{"gitea", "git.example.com", "its secret is another one", []string{"X-Gitea-Signature: " + inHex("something else")}, 403},
		{"gitea", "other", "not known here", []string{"X-Gitea-Signature: " + inHex("{}")}, 403},
		{"gitlab", "git.example.com", "its secret is another one", []string{"X-Gitlab-Token: x"}, 403},
		{"gitlab", "git.example.com", "time is missing", []string{"webhook-signature: v1,x"}, 401},
		{"plain", "git.example.com", "too far from now", []string{
			"X-Lorry-Timestamp: " + old, "X-Lorry-Signature-256: sha256=" + inHex(old+".{}"),
		}, 403},
		{"plain", "git.example.com", "time is missing", []string{"X-Lorry-Signature-256: sha256=" + inHex("{}")}, 401},
		{"gerrit", "git.example.com", "shows no secret", nil, 401},
	} {
		w := newWorld()
		status, body := w.send(test.forge, test.name, "{}", test.header...)
		if status != test.status || !strings.Contains(body, test.want) || len(w.pushes) > 0 {
			t.Errorf("%s %v: %d %s, want %d and %q", test.forge, test.header, status, body, test.status, test.want)
		}
		if strings.Contains(body, secret) || w.counts[test.forge+" refused"] != 1 {
			t.Errorf("%s: counted %v, told %s", test.forge, w.counts, body)
		}
	}
}

func TestWrongSecretsAreLimitedAndRightOnesAreNot(t *testing.T) {
	t.Parallel()
	w := newWorld()
	last := 0
	for range 25 {
		last, _ = w.send("gitlab", "git.example.com", gitlabPush, "X-Gitlab-Token: wrong")
	}
	if last != 429 {
		t.Errorf("status %d after 25 wrong secrets, want 429", last)
	}
	if status, _ := w.send("gitlab", "git.example.com", gitlabPush, "X-Gitlab-Token: "+secret); status != 202 {
		t.Errorf("the right secret got %d", status)
	}
	w.clock = w.clock.Add(time.Minute)
	if status, _ := w.send("gitlab", "git.example.com", gitlabPush, "X-Gitlab-Token: wrong"); status != 403 {
		t.Errorf("status %d a minute later, want 403", status)
	}
}

func TestBodiesAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld()
	long := strings.Repeat(" ", 6<<20)
	if status, body := w.send("gitlab", "git.example.com", long, "X-Gitlab-Token: "+secret); status != 413 {
		t.Errorf("%d %s, want 413", status, body)
	}
	fits := strings.Repeat(" ", 4<<20) + gitlabPush
	if status, body := w.send("gitlab", "git.example.com", fits, "X-Gitlab-Token: "+secret); status != 202 {
		t.Errorf("%d %s, want 202", status, body)
	}
}

func TestADatabaseThatIsAwayIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.err = core.Errorf(core.KindUnavailable, "away: %w", errors.New("no"))
	if status, _ := w.send("gitlab", "git.example.com", gitlabPush, "X-Gitlab-Token: "+secret); status != 503 || w.counts["gitlab failed"] != 1 {
		t.Errorf("%d, counted %v", status, w.counts)
	}
}

func FuzzWebhook(f *testing.F) {
	for _, body := range []string{gitlabPush, gitlabCreate, giteaPush, giteaCreated, gerritPush, "url=x", "[]", "null", `{"project":null}`} {
		f.Add("gitlab", body, "application/json")
		f.Add("plain", body, "application/x-www-form-urlencoded")
		f.Add("gerrit", body, "")
	}
	f.Fuzz(func(t *testing.T, forge, body, contentType string) {
		w := newWorld()
		status, _ := w.send(forge, "git.example.com", body, "proven: yes", "Content-Type: "+contentType, "X-GitHub-Event: push", "X-Gitea-Event: push")
		if status >= 500 {
			t.Errorf("status %d", status)
		}
		for _, p := range w.pushes {
			for _, name := range p.Repositories {
				if name == "" {
					t.Error("a repository without a name is looked for")
				}
			}
		}
	})
}
