package importer

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/spec"
)

// TestCredentialOfSeveralAddresses: the credential of a job goes to the addresses
// of its own scheme, host and port alone, wherever in the list that is, and makes
// nothing else of the list.
func TestCredentialOfSeveralAddresses(t *testing.T) {
	t.Parallel()
	urls := []string{
		"https://one.example.com/a", "https://Two.example.com/b", "https://two.example.com/c", "http://two.example.com/d",
		"https://two.example.com:8443/e", "https://two.example.com.example.org/f",
	}
	want := map[string]string{urls[1]: "c4n4ry", urls[2]: "c4n4ry"}
	branches := spec.Spec{Name: "a", Type: spec.Bzr}
	files := spec.Spec{Name: "a", Type: spec.RawFile}
	for _, u := range urls {
		branches.Branches = append(branches.Branches, spec.Branch{Name: u[len(u)-1:], Access: core.Access{URL: u}})
		files.Files = append(files.Files, spec.File{Access: core.Access{URL: u}})
	}
	for _, test := range []struct {
		spec spec.Spec
		in   string
	}{{branches, ""}, {files, ""}, {files, "private_token"}} {
		j := newJob(Options{Spec: test.spec, PullOnly: true, Request: &protocol.ImportRequest{
			Fetch: &protocol.Access{URL: urls[1], Username: "me", Secret: "c4n4ry", SecretIn: test.in},
		}})
		if err := j.prepare(); err != nil {
			t.Fatal(err)
		}
		var list []core.Access
		for _, b := range j.branches {
			list = append(list, b.Access)
		}
		for _, f := range j.files {
			list = append(list, f.Access)
		}
		var at []string
		got := map[string]string{}
		for _, a := range list {
			at = append(at, a.URL)
			if !a.Secret.Empty() {
				got[a.URL] = a.Secret.Reveal()
			}
			if in := a.SecretIn; in != test.in && !a.Secret.Empty() {
				t.Errorf("%s: the secret is sent as %q", a.URL, in)
			}
		}
		if diff := cmp.Diff(urls, at); diff != "" {
			t.Errorf("%s: %s", test.spec.Type, diff)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", test.spec.Type, diff)
		}
	}
}

// TestTokenForAProgram: what a program fetches by itself has no query.
func TestTokenForAProgram(t *testing.T) {
	t.Parallel()
	for _, typ := range []spec.Type{spec.Git, spec.Hg, spec.Svn} {
		j := newJob(Options{Spec: spec.Spec{Name: "a", Type: typ, Access: core.Access{URL: "https://one.example.com/a"}}, PullOnly: true, Request: &protocol.ImportRequest{
			Fetch: &protocol.Access{Secret: "c4n4ry", SecretIn: "private_token"},
		}})
		if err := j.prepare(); err == nil || strings.Contains(err.Error(), "c4n4ry") || !strings.Contains(err.Error(), "never asked") {
			t.Errorf("%s: %v", typ, err)
		}
	}
}
