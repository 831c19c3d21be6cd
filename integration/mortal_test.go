package integration

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/integration/pgtest"
)

// mortal is a controller that is killed and started again, at one address and on
// one STATEDB.
type mortal struct {
	*twoCores
	database string
	args     []string
	core     *exec.Cmd
	log      bytes.Buffer
}

func newMortal(t *testing.T, postgres bool) *mortal {
	t.Helper()
	w := &twoCores{T: t, dir: t.TempDir(), client: &http.Client{}}
	t.Cleanup(w.client.CloseIdleConnections)
	m := &mortal{twoCores: w, database: filepath.Join(w.dir, "state.db")}
	if postgres {
		servers := pgtest.New(t)
		m.database = servers.URL(t)
	}
	w.env = append(os.Environ(), "LORRY_STATEDB="+m.database)
	address := freeAddress(t)
	w.url[0] = "http://" + address
	m.args = []string{
		"--no-default-configs", "--data", filepath.Join(w.dir, "data"), "--downstream-host-type", "local",
		"--local-base-directory", filepath.Join(w.dir, "mirrors"), "--ghost-timeout", "600", "--listen", address,
	}
	t.Cleanup(func() {
		if m.core != nil {
			m.kill()
		}
		if t.Failed() {
			t.Logf("%.100000s", m.log.String())
		}
	})
	return m
}

// start starts a core and waits until it serves.
func (m *mortal) start() {
	m.Helper()
	m.core = exec.Command(filepath.Join(binDir, "lorry-controller"), m.args...)
	m.core.Env, m.core.Stderr = m.env, &m.log
	if err := m.core.Start(); err != nil {
		m.Fatal(err)
	}
	m.await(func() bool {
		status, _ := m.ask(0, "", http.MethodGet, "/-/ready", "")
		return status == http.StatusOK
	})
}

// knows waits until the core has read a Lorry in CONFGIT.
func (m *mortal) knows(path string) {
	m.Helper()
	m.await(func() bool {
		_, text := m.ask(0, "", http.MethodGet, "/1.0/list-queue", "")
		return strings.Contains(text, `"`+path+`"`)
	})
}

func (m *mortal) kill() {
	_ = m.core.Process.Kill()
	_ = m.core.Wait() // it says that it was killed
	m.core = nil
}

// whole kills the core for the last time and has SQLite look through its file.
func (m *mortal) whole() {
	m.Helper()
	m.kill()
	if strings.HasPrefix(m.database, "postgres") {
		return
	}
	db, err := sql.Open("sqlite", m.database)
	if err != nil {
		m.Fatal(err)
	}
	defer db.Close()
	var said string
	if err := db.QueryRowContext(m.Context(), `PRAGMA integrity_check`).Scan(&said); err != nil || said != "ok" {
		m.Errorf("the state database: %q, %v", said, err)
	}
}

// lorry gives the state of a Lorry.
func (m *mortal) lorry(path string) (l protocol.Lorry) {
	m.Helper()
	status, text := m.ask(0, "", http.MethodGet, "/1.0/lorry/"+path, "")
	if err := json.Unmarshal([]byte(text), &l); err != nil || status != http.StatusOK {
		m.Fatalf("%s: %d %v %s", path, status, err, text)
	}
	l.DueNice, l.LastRunNice = "", "" // as seen from now
	return l
}
