package pgtest

import (
	"os"
	"os/user"
	"strconv"
	"testing"

	"github.com/lorry-controller/lorry-controller/sdk/forgetest/tool"
)

// OnDisk makes an empty database that keeps its tables in a directory, which is
// empty, such as one on a small file system. The server keeps its log of changes
// elsewhere. The test is skipped for a server that this process did not start
// itself, on this machine.
func (s *Servers) OnDisk(t testing.TB, dir string) string {
	t.Helper()
	srv := s.need(t)
	if srv.crash == nil {
		tool.Missing(t, "the PostgreSQL there is was not started here", "all")
	}
	if u, err := user.Lookup("postgres"); err == nil && os.Geteuid() == 0 {
		uid, err := strconv.Atoi(u.Uid)
		if err == nil {
			err = os.Chown(dir, uid, -1)
		}
		if err != nil {
			t.Fatalf("give the directory to the server: %v", err)
		}
	}
	name := s.name()
	if err := srv.exec(`CREATE TABLESPACE ` + name + ` LOCATION '` + dir + `'`); err != nil {
		t.Fatalf("make a tablespace: %v", err)
	}
	t.Cleanup(func() {
		if err := srv.exec(`DROP TABLESPACE ` + name); err != nil {
			t.Errorf("drop the tablespace: %v", err)
		}
	})
	return srv.database(t, name, ` TABLESPACE `+name)
}
