package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// binaries finds Debian's PostgreSQL, the newest first, or one on PATH.
func binaries() (string, error) {
	dirs, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil {
		return "", err
	}
	slices.SortFunc(dirs, func(a, b string) int { return version(b) - version(a) })
	for _, dir := range dirs {
		if _, err := os.Stat(filepath.Join(dir, "initdb")); err == nil {
			return dir, nil
		}
	}
	path, err := exec.LookPath("initdb")
	if err != nil {
		return "", errors.New("no initdb in /usr/lib/postgresql/*/bin nor on PATH")
	}
	return filepath.Dir(path), nil
}

func version(bin string) int {
	n, err := strconv.Atoi(filepath.Base(filepath.Dir(bin)))
	if err != nil {
		return 0
	}
	return n
}

// startDebian starts a private server on a unix socket and a free port of
// 127.0.0.1. It refuses root, so root starts it as the user postgres.
func startDebian(durable bool) (*server, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "lorry-pgtest-")
	if err != nil {
		return nil, err
	}
	remove := func(err error) (*server, error) { return nil, errors.Join(err, os.RemoveAll(dir)) }
	attr, err := runAs(dir)
	if err != nil {
		return remove(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	data := filepath.Join(dir, "data")
	initdb := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8")
	initdb.SysProcAttr, initdb.Dir = attr, dir
	if out, err := initdb.CombinedOutput(); err != nil {
		return remove(fmt.Errorf("initdb: %w: %s", err, out))
	}
	port, err := freePort()
	if err != nil {
		return remove(err)
	}
	var log bytes.Buffer
	memory := []string{"-c", "shared_buffers=64MB"}
	if durable { // as a server of its own would have it
		memory = []string{"-c", "shared_buffers=1GB", "-c", "max_wal_size=4GB"}
	}
	args := append([]string{"-D", data, "-k", dir, "-p", strconv.Itoa(port)}, memory...)
	postgres := exec.Command(filepath.Join(bin, "postgres"), append(args, "-c", "listen_addresses=127.0.0.1",
		"-c", "fsync="+onOff(durable), "-c", "synchronous_commit=on", "-c", "full_page_writes="+onOff(durable), "-c", "max_connections=400")...)
	postgres.SysProcAttr, postgres.Dir, postgres.Stdout, postgres.Stderr = attr, dir, &log, &log
	if err := postgres.Start(); err != nil {
		return remove(fmt.Errorf("postgres: %w", err))
	}
	ended := make(chan error, 1)
	go func() { ended <- postgres.Wait() }()
	srv := &server{
		url: &url.URL{
			Scheme: "postgres", User: url.User("postgres"), Path: "/postgres",
			RawQuery: url.Values{"host": {dir}, "port": {strconv.Itoa(port)}, "sslmode": {"disable"}}.Encode(),
		},
		stop: func() error {
			err := postgres.Process.Signal(syscall.SIGQUIT) // the data are thrown away
			select {
			case <-ended:
			case <-time.After(startTimeout):
				err = errors.Join(errors.New("postgres does not end"), postgres.Process.Kill())
				<-ended
			}
			return errors.Join(err, os.RemoveAll(dir))
		},
	}
	if err := srv.wait(startTimeout); err != nil {
		return nil, errors.Join(err, srv.stop(), fmt.Errorf("postgres: %s", log.String()))
	}
	return srv, nil
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// runAs says as whom the server runs, and gives him the directory.
func runAs(dir string) (*syscall.SysProcAttr, error) {
	attr := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGQUIT}
	if os.Geteuid() != 0 {
		return attr, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL does not run as root: %w", err)
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return nil, err
	}
	attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return attr, os.Chown(dir, uid, gid)
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	addr, err := netip.ParseAddrPort(l.Addr().String())
	return int(addr.Port()), errors.Join(err, l.Close())
}
