package sshfake

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// Request is one command that came by ssh.
type Request struct {
	// User is who logged in: the user of the test itself.
	User    string
	Command string
}

// Answer is what the far side of a command does.
type Answer struct {
	Stdout, Stderr string
	Exit           int
	// Exec is a program to run instead, with its arguments: git's, for
	// fetching and pushing.
	Exec []string
	// Hang lets the command run until the connection ends.
	Hang bool
}

// Handler answers commands, several at a time.
type Handler func(Request) Answer

// Server is a running OpenSSH server. Every connection is a process of its own.
type Server struct {
	dir      string
	sshd     string
	login    string
	handler  Handler
	tcp      net.Listener
	relay    net.Listener
	running  sync.WaitGroup
	mu       sync.Mutex
	closed   bool
	commands []string
	open     map[net.Conn]bool
	pids     map[int]bool
}

// Program finds OpenSSH's server, or gives "".
func Program() string {
	for _, path := range []string{"/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd"} {
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path
		}
	}
	return ""
}

// Start starts a server. It ends with Close.
func Start(handler Handler) (*Server, error) {
	me, err := user.Current()
	if err != nil {
		return nil, err
	}
	s := &Server{sshd: Program(), login: me.Username, handler: handler, open: map[net.Conn]bool{}, pids: map[int]bool{}}
	if s.sshd == "" {
		return nil, errors.New("sshd is not installed")
	}
	// Short, because the path of a socket is.
	if s.dir, err = os.MkdirTemp("", "sshfake"); err != nil {
		return nil, err
	}
	if err := s.listen(); err != nil {
		_ = s.Close()
		return nil, err
	}
	s.running.Go(func() { s.accept(s.tcp, s.connection) })
	s.running.Go(func() { s.accept(s.relay, s.answer) })
	return s, nil
}

func (s *Server) listen() (err error) {
	if os.Getuid() == 0 {
		// Where OpenSSH's unprivileged part lives.
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil { //nolint:gosec // as Debian makes it
			return err
		}
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if err := s.writeKeys(); err != nil {
		return err
	}
	config := strings.Join([]string{
		"HostKey " + s.file("host"), "AuthorizedKeysFile " + s.file("authorized_keys"), "PidFile none",
		"StrictModes no", "UsePAM no", "PasswordAuthentication no", "KbdInteractiveAuthentication no", "PermitRootLogin prohibit-password",
		"PrintMotd no", "PrintLastLog no", "KexAlgorithms curve25519-sha256", "X11Forwarding no", "AllowTcpForwarding no", "PermitUserRC no", "LogLevel ERROR",
		fmt.Sprintf("ForceCommand %s %s %s", self, relayFlag, s.file("relay")), "",
	}, "\n")
	if err := os.WriteFile(s.file("config"), []byte(config), 0o600); err != nil {
		return err
	}
	if s.relay, err = net.Listen("unix", s.file("relay")); err != nil {
		return err
	}
	if s.tcp, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return err
	}
	return s.writeKnownHosts()
}

func (s *Server) file(name string) string { return filepath.Join(s.dir, name) }

// Port is the port on 127.0.0.1.
func (s *Server) Port() int {
	if addr, ok := s.tcp.Addr().(*net.TCPAddr); ok {
		return addr.Port
	}
	return 0
}

// User is who has to log in.
func (s *Server) User() string { return s.login }

// URL is the server's address as an ssh URL without a path.
func (s *Server) URL() string { return fmt.Sprintf("ssh://%s@127.0.0.1:%d", s.login, s.Port()) }

// KnownHosts is a file that knows the server's key.
func (s *Server) KnownHosts() string { return s.file("known_hosts") }

// IdentityFile is a private key that the server takes.
func (s *Server) IdentityFile() string { return s.file("user") }

// StrangersFile is a private key that the server refuses.
func (s *Server) StrangersFile() string { return s.file("stranger") }

// Commands gives the commands so far.
func (s *Server) Commands() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.commands...)
}

// Connections counts the connections that are open now.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.pids)
}

// Close ends the server and every connection. A second call does nothing.
func (s *Server) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	for pid := range s.pids {
		_ = syscall.Kill(-pid, syscall.SIGKILL)
	}
	for conn := range s.open {
		_ = conn.Close()
	}
	s.mu.Unlock()
	var errs []error
	for _, l := range []net.Listener{s.tcp, s.relay} {
		if l != nil {
			errs = append(errs, l.Close())
		}
	}
	s.running.Wait()
	return errors.Join(append(errs, os.RemoveAll(s.dir))...)
}

func (s *Server) accept(l net.Listener, serve func(net.Conn)) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		s.running.Go(func() {
			defer func() { _ = conn.Close() }()
			serve(conn)
		})
	}
}

// connection lets one sshd process speak to one client.
func (s *Server) connection(conn net.Conn) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	file, err := tcp.File()
	if err != nil {
		return
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		_ = file.Close()
		return
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		_, _ = file.Close(), null.Close()
		return
	}
	process, err := os.StartProcess(s.sshd, []string{s.sshd, "-i", "-f", s.file("config")}, &os.ProcAttr{
		Dir: "/", Env: []string{"PATH=" + os.Getenv("PATH")},
		Files: []*os.File{file, file, null}, Sys: &syscall.SysProcAttr{Setpgid: true},
	})
	if err == nil {
		s.pids[process.Pid] = true
	}
	s.mu.Unlock()
	_, _ = file.Close(), null.Close()
	_ = conn.Close()
	if err != nil {
		return
	}
	_, _ = process.Wait()
	s.mu.Lock()
	delete(s.pids, process.Pid)
	s.mu.Unlock()
}

// answer serves the forced command of one connection.
func (s *Server) answer(conn net.Conn) {
	var req Request
	if err := json.NewDecoder(conn).Decode(&req); err != nil {
		return
	}
	s.mu.Lock()
	s.commands = append(s.commands, req.Command)
	s.open[conn] = true
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.open, conn)
		s.mu.Unlock()
	}()
	a := s.handler(req)
	if a.Hang {
		// The relay goes when its connection does.
		_, _ = conn.Read(make([]byte, 1))
		return
	}
	_ = json.NewEncoder(conn).Encode(a)
}
