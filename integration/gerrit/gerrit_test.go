package gerrit

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/lorry-controller/lorry-controller/sdk/forgetest/gerritfake"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/sshfake"
)

func TestMain(m *testing.M) {
	sshfake.Relay()
	goleak.VerifyTestMain(m)
}

func TestFake(t *testing.T) {
	g, low := gerritfake.New(), gerritfake.New()
	g.Put("parent", gerritfake.Project{PermissionsOnly: true, Head: "refs/meta/config"})
	low.MayCreate, low.MayOwn = false, false
	// Two accounts of one server: the second sees what the first has made.
	low.Share(g)
	var pushes atomic.Int64
	site := Site{
		Prefix: "test/", Parent: "parent", SSH: sshfake.Program() != "",
		Admin: fakeAccount(t, g), Low: fakeAccount(t, low),
		Push: func(t *testing.T, project, branch string) {
			t.Helper()
			p, ok := g.Get(project)
			if !ok {
				t.Fatalf("there is no project %q", project)
			}
			branches := map[string]string{branch: fmt.Sprintf("%040d", pushes.Add(1))}
			for ref, commit := range p.Branches {
				if ref != branch {
					branches[ref] = commit
				}
			}
			p.Branches = branches
			g.Put(project, p)
		},
	}
	Run(t, site)
	for _, request := range g.Requests() {
		if strings.Contains(request, "empty-commit") {
			t.Errorf("an initial commit was asked for: %s", request)
		}
	}
}

func fakeAccount(t *testing.T, g *gerritfake.Gerrit) Account {
	t.Helper()
	web := httptest.NewServer(g)
	t.Cleanup(web.Close)
	a := Account{Password: g.Password, Settings: map[string]any{"http-url": web.URL, "username": g.User}}
	if sshfake.Program() == "" {
		return a
	}
	ssh := sshfake.Serve(t, g.Handle)
	a.Settings["ssh-url"], a.Settings["ssh-known-hosts"], a.Settings["ssh-identity-file"] = ssh.URL(), ssh.KnownHosts(), ssh.IdentityFile()
	return a
}
