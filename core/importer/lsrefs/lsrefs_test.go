package lsrefs

import (
	"bufio"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/childproc"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/importer/pktline"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	one = "1111111111111111111111111111111111111111"
	two = "2222222222222222222222222222222222222222"
)

func reader(t *testing.T) *Reader {
	t.Helper()
	gittest.Require(t, "git")
	git, err := childproc.NewGit(childproc.GitOptions{Home: filepath.Join(t.TempDir(), "home")})
	if err != nil {
		t.Fatal(err)
	}
	r := NewReader(git)
	t.Cleanup(r.Close)
	return r
}

func TestParseLsRemote(t *testing.T) {
	t.Parallel()
	text := "ref: refs/heads/main\tHEAD\n" + one + "\tHEAD\n" + two + "\trefs/tags/v1\n" + one + "\trefs/tags/v1^{}\n" + one + "\trefs/heads/main\n"
	got, err := ParseLsRemote(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	want := Listing{Head: "refs/heads/main", Refs: []Ref{{"refs/heads/main", one}, {"refs/tags/v1", two}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{"<html>\n", "x\trefs/heads/main\n", "abc\trefs/heads/main\n", one + "\trefs/heads/main\n" + two + "\trefs/heads/main\n"} {
		if _, err := ParseLsRemote(strings.NewReader(bad)); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestDigest(t *testing.T) {
	t.Parallel()
	base := Listing{Head: "refs/heads/main", Refs: []Ref{{"refs/heads/main", one}}}
	seen := map[string]bool{base.Digest("p"): true}
	for _, l := range []Listing{
		{Head: "refs/heads/x", Refs: base.Refs},
		{Head: base.Head, Refs: []Ref{{"refs/heads/main", two}}},
		{Head: base.Head, Refs: append([]Ref{{"refs/heads/a", one}}, base.Refs...)},
	} {
		if seen[l.Digest("p")] {
			t.Errorf("%+v has a digest that another has", l)
		}
		seen[l.Digest("p")] = true
	}
	if seen[base.Digest("q")] {
		t.Error("the policy is no part of the digest")
	}
	if again := FromMap(base.Map(), base.Head); again.Digest("p") != base.Digest("p") {
		t.Error("the same refs have two digests")
	}
}

// answer serves what a server of the old protocol, or a broken one, says.
func answer(t *testing.T, kind, body string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(s.Close)
	return s.URL + "/thing.git"
}

func TestOldProtocol(t *testing.T) {
	t.Parallel()
	r := reader(t)
	body := pktline.Line("# service=git-upload-pack\n") + "0000" +
		pktline.Line(one+" HEAD\x00multi_ack symref=HEAD:refs/heads/main agent=git/1.8\n") +
		pktline.Line(one+" refs/heads/main\n") + pktline.Line(two+" refs/tags/v1\n") + pktline.Line(one+" refs/tags/v1^{}\n") + "0000"
	got, err := r.Read(t.Context(), core.Access{URL: answer(t, advertisement, body)}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := Listing{Head: "refs/heads/main", Refs: []Ref{{"refs/heads/main", one}, {"refs/tags/v1", two}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	empty := pktline.Line("# service=git-upload-pack\n") + "0000" + pktline.Line(strings.Repeat("0", 40)+" capabilities^{}\x00multi_ack\n") + "0000"
	if got, err := r.Read(t.Context(), core.Access{URL: answer(t, advertisement, empty)}, Options{}); err != nil || len(got.Refs) > 0 {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestBrokenAnswers(t *testing.T) {
	t.Parallel()
	r := reader(t)
	for _, test := range []struct {
		name, kind, body string
		want             core.FailureKind
	}{
		{"page under the right type", advertisement, "<html>", core.FailNotGit},
		{"cut off", advertisement, pktline.Line("# service=git-upload-pack\n") + "0000" + "00ff" + one, core.FailNetwork},
		{"an error", advertisement, pktline.Line("ERR access denied for you\n"), core.FailAuth},
		{"an error of its own", advertisement, pktline.Line("ERR go away\n"), core.FailOther},
		{"nothing at all", advertisement, "", core.FailNotGit},
		{"cut off between two lines", advertisement, pktline.Line("# service=git-upload-pack\n") + "0000" + pktline.Line(one+" refs/heads/main\n"), core.FailNetwork},
		{"one name for two objects", advertisement, pktline.Line(one+" refs/heads/main\x00\n") + pktline.Line(two+" refs/heads/main\n") + "0000", core.FailCorrupt},
		{"no object's name", advertisement, pktline.Line(one[:20]+" refs/heads/main\x00\n") + "0000", core.FailNotGit},
		{"a name of two lines", advertisement, pktline.Line(one+" refs/heads/a\nb\x00\n") + "0000", core.FailNotGit},
		{"no refs", advertisement, pktline.Line("# service=git-upload-pack\n") + "0000" + pktline.Line("nonsense\n") + "0000", core.FailNotGit},
		{"page", "text/html", "<html>", core.FailNotGit},
		{"plain files that are none", "text/plain", "hello", core.FailNotGit},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := r.Read(t.Context(), core.Access{URL: answer(t, test.kind, test.body)}, Options{})
			if err == nil {
				t.Fatal("no error")
			}
			if got := gitfail.From(err, gitfail.Upstream); got.Kind != test.want {
				t.Errorf("want %q, got %q: %v", test.want, got.Kind, err)
			}
		})
	}
}

func TestRateLimitTellsHowLong(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "90")
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	t.Cleanup(s.Close)
	_, err := reader(t).Read(t.Context(), core.Access{URL: s.URL + "/x"}, Options{})
	got := gitfail.From(err, gitfail.Upstream)
	if got.Kind != core.FailRateLimited || got.RetryAfter != 90 || !strings.Contains(got.Cause, "1m30s") {
		t.Errorf("got %+v", got)
	}
}

// TestTwoRequestsOnly holds that a listing needs no child process and keeps
// its connection.
func TestTwoRequestsOnly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	gittest.Seed(t, filepath.Join(dir, "thing.git"))
	s := gittest.NewServer(t, dir)
	r := reader(t)
	l, err := r.Read(t.Context(), core.Access{URL: s.URL + "/thing.git"}, Options{Prefixes: []string{"refs/heads/"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(l.Refs) != 2 || l.Head != "refs/heads/main" {
		t.Errorf("got %+v", l)
	}
	want := []string{"GET /thing.git/info/refs?service=git-upload-pack", "POST /thing.git/git-upload-pack"}
	if diff := cmp.Diff(want, s.Requests()); diff != "" {
		t.Error(diff)
	}
}

func FuzzListV0(f *testing.F) {
	f.Add(one+" HEAD\x00symref=HEAD:refs/heads/main", pktline.Line(one+" refs/heads/main\n")+"0000")
	f.Fuzz(func(t *testing.T, first, rest string) {
		l, err := listV0(bufio.NewReader(strings.NewReader(rest)), first, pktline.Data)
		if err != nil {
			return
		}
		for _, r := range l.Refs {
			if !validObject(r.Object) || strings.ContainsAny(r.Name, "\n\x00") {
				t.Errorf("%+v", r)
			}
		}
	})
}

func FuzzListV2(f *testing.F) {
	f.Add(pktline.Line(one+" HEAD symref-target:refs/heads/main\n") + pktline.Line(one+" refs/heads/main\n") + pktline.Line(two+" refs/tags/v1 peeled:"+one+"\n") + "0000")
	f.Add(pktline.Line("ERR no\n"))
	f.Add(pktline.Line("unborn HEAD symref-target:refs/heads/main\n") + "0000")
	f.Fuzz(func(t *testing.T, text string) {
		l, err := listV2(bufio.NewReader(strings.NewReader(text)))
		if err != nil {
			if gitfail.From(err, gitfail.Upstream).Kind == core.FailNone || strings.ContainsAny(err.Error(), "\n\x00") {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		there := l.Head == ""
		for _, r := range l.Refs {
			there = there || r.Name == l.Head
			if !validObject(r.Object) || strings.ContainsAny(r.Name, "\n\x00") {
				t.Errorf("%+v", r)
			}
		}
		if !there {
			t.Errorf("%q: HEAD is %q, which is not there", text, l.Head)
		}
	})
}

func FuzzRetryAfter(f *testing.F) {
	f.Add("120", "Mon, 02 Jan 2006 15:04:05 GMT", "1700000000")
	f.Fuzz(func(t *testing.T, after, date, reset string) {
		h := http.Header{"Retry-After": {after}, "Date": {date}, "X-Ratelimit-Reset": {reset}}
		if n := retryAfter(h); n < 0 || n > maxRetryAfter {
			t.Errorf("%v: %d", h, n)
		}
	})
}

func FuzzParseLsRemote(f *testing.F) {
	f.Add("ref: refs/heads/main\tHEAD\n" + one + "\trefs/heads/main\n" + two + "\trefs/tags/v1^{}\n")
	f.Fuzz(func(t *testing.T, text string) {
		l, err := ParseLsRemote(strings.NewReader(text))
		for i, r := range l.Refs {
			if err == nil && (!strings.HasPrefix(r.Name, "refs/") || !validObject(r.Object) || i > 0 && l.Refs[i-1].Name > r.Name) {
				t.Errorf("%q became %+v", text, l)
			}
		}
	})
}
