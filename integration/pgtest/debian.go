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
// With a directory wal the log of changes is kept there, in small pieces.
func startDebian(durable bool, wal string) (*server, error) {
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
	if err := initdb(ctx, bin, dir, wal, attr); err != nil {
		return remove(err)
	}
	if err := askPassword(filepath.Join(data, "pg_hba.conf")); err != nil {
		return remove(err)
	}
	port, err := freePort()
	if err != nil {
		return remove(err)
	}
	memory := []string{"-c", "shared_buffers=64MB"}
	if durable { // as a server of its own would have it
		memory = []string{"-c", "shared_buffers=1GB", "-c", "max_wal_size=4GB"}
	}
	if wal != "" {
		memory = append(memory, "-c", "max_wal_size=8MB", "-c", "min_wal_size=2MB")
	}
	args := append([]string{"-D", data, "-k", dir, "-p", strconv.Itoa(port)}, memory...)
	args = append(args, "-c", "listen_addresses=127.0.0.1",
		"-c", "fsync="+onOff(durable), "-c", "synchronous_commit=on", "-c", "full_page_writes="+onOff(durable), "-c", "max_connections=400")
	run := &process{attr: attr, dir: dir, program: filepath.Join(bin, "postgres"), args: args}
	srv := &server{
		url: &url.URL{
			Scheme: "postgres", User: url.User("postgres"), Path: "/postgres",
			RawQuery: url.Values{"host": {dir}, "port": {strconv.Itoa(port)}, "sslmode": {"disable"}}.Encode(),
		},
		crash: run.end, ended: run.hasEnded,
		stop: func() error { return errors.Join(run.end(), os.RemoveAll(dir)) },
	}
	srv.start = func() error {
		if err := run.start(); err != nil {
			return err
		}
		return srv.wait(startTimeout)
	}
	if err := srv.start(); err != nil {
		return nil, errors.Join(err, srv.stop(), fmt.Errorf("postgres: %s", run.log.String()))
	}
	return srv, nil
}

// initdb makes an empty cluster in dir/data.
func initdb(ctx context.Context, bin, dir, wal string, attr *syscall.SysProcAttr) error {
	args := []string{"-D", filepath.Join(dir, "data"), "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8"}
	if wal != "" {
		args = append(args, "-X", wal, "--wal-segsize=1")
		if _, err := runAs(wal); err != nil {
			return err
		}
	}
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), args...)
	cmd.SysProcAttr, cmd.Dir = attr, dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	return nil
}

// process is a server's process, which can be started more than once.
type process struct {
	attr    *syscall.SysProcAttr
	dir     string
	program string
	args    []string
	log     bytes.Buffer

	running *exec.Cmd // nil: none
	ended   chan struct{}
}

func (p *process) start() error {
	cmd := exec.Command(p.program, p.args...)
	cmd.SysProcAttr, cmd.Dir, cmd.Stdout, cmd.Stderr = p.attr, p.dir, &p.log, &p.log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("postgres: %w", err)
	}
	p.running, p.ended = cmd, make(chan struct{})
	go func(ended chan struct{}) {
		_ = cmd.Wait() // told by the signal that it gets
		close(ended)
	}(p.ended)
	return nil
}

// hasEnded reports whether it has ended by itself.
func (p *process) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// end is an immediate shutdown: nothing is written any more.
func (p *process) end() error {
	if p.running == nil || p.hasEnded() {
		p.running = nil
		return nil
	}
	err := p.running.Process.Signal(syscall.SIGQUIT)
	select {
	case <-p.ended:
	case <-time.After(startTimeout):
		err = errors.Join(errors.New("postgres does not end"), p.running.Process.Kill())
		<-p.ended
	}
	p.running = nil
	return err
}

// askPassword puts a line for PasswordRole before those that trust everybody.
func askPassword(file string) error {
	rules, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	first := "local all " + PasswordRole + " scram-sha-256\nhost all " + PasswordRole + " 127.0.0.1/32 scram-sha-256\n"
	return os.WriteFile(file, append([]byte(first), rules...), 0o600)
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
