package childproc

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/lorry-controller/lorry-controller/core"
)

// TestGitFollowsNoRedirect: the other host is not even asked, neither with the
// credential nor without it, for a look, a fetch or a push.
func TestGitFollowsNoRedirect(t *testing.T) {
	t.Parallel()
	g := newGit(t)
	var asked atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusNotFound)
	}))
	t.Cleanup(other.Close)
	var headers atomic.Int64
	first := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			headers.Add(1)
		}
		http.Redirect(w, r, other.URL+r.URL.RequestURI(), http.StatusFound)
	}))
	t.Cleanup(first.Close)
	dir := t.TempDir()
	if err := g.Run(t.Context(), GitCall{Args: []string{"init", "-q", "--bare", "--", dir}}); err != nil {
		t.Fatal(err)
	}
	access := &core.Access{URL: first.URL + "/a/b.git", Username: "me", Secret: core.NewSecret("s3cret-word")}
	for _, args := range [][]string{
		{"ls-remote", "--", access.URL}, {"fetch", "--", access.URL, "+refs/heads/*:refs/heads/*"}, {"push", "--", access.URL, "+refs/heads/*:refs/heads/*"},
	} {
		call := GitCall{Args: args, Access: access, Protocols: []string{ProtoHTTP}}
		if args[0] != "ls-remote" {
			call.GitDir = dir
		}
		if err := g.Run(t.Context(), call); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: got %v", args[0], err)
		}
	}
	if headers.Load() == 0 {
		t.Error("the host itself did not get the credential, so this test shows nothing")
	}
	if n := asked.Load(); n > 0 {
		t.Errorf("the other host was asked %d times", n)
	}
}
