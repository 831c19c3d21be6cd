// Package pgtest gives tests a real PostgreSQL: one server a test binary, one
// database a test. It is for tests only.
//
// It takes the first of these that works: the server that
// LORRY_TEST_POSTGRES_URL names; Debian's binaries, started privately in a
// temporary directory; a container of the postgres image. Without any it skips
// the test, or fails it when LORRY_TEST_REQUIRE names "postgres" or "all".
package pgtest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"sync"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"github.com/lorry-controller/lorry-controller/sdk/forgetest/tool"
)

// Servers is the PostgreSQL of one test binary. The zero value is ready; Stop
// it when the tests have run.
type Servers struct {
	// Durable makes a server of our own flush every commit to the disk, for
	// measuring.
	Durable bool
	// WAL is an empty directory where a server of our own keeps its log of
	// changes, such as a small file system, in pieces of 1 MB; "": beside the data.
	WAL string

	mu     sync.Mutex
	tried  bool
	server *server
	err    error
	made   int

	copying  sync.Mutex
	template string // the name of the prepared database, once there is one
}

// server is one running PostgreSQL.
type server struct {
	url   *url.URL     // with a database from which others can be made
	stop  func() error // ends it; nil for one that is not ours
	crash func() error // ends it as a crash does, until start; nil where that can't be done
	start func() error
	ended func() bool // it has ended by itself
}

// PasswordRole is a role that a private server asks for its password. It is to
// be made by the test.
const PasswordRole = "lorry_by_password"

// Crash ends the server as a crash does, without a checkpoint. The function that
// it gives starts it again. It skips the test with a server that is not ours.
func (s *Servers) Crash(t testing.TB) (restart func()) {
	t.Helper()
	srv := s.need(t)
	if srv.crash == nil && os.Getenv("LORRY_TEST_POSTGRES_URL") != "" {
		tool.Missing(t, "the PostgreSQL of LORRY_TEST_POSTGRES_URL is not to be stopped", "all")
	}
	if srv.crash == nil {
		tool.Missing(t, "a PostgreSQL in a container is not stopped", "all", "postgres")
	}
	if err := srv.crash(); err != nil {
		t.Fatalf("crash PostgreSQL: %v", err)
	}
	return func() {
		t.Helper()
		if err := srv.start(); err != nil {
			t.Fatalf("start PostgreSQL again: %v", err)
		}
	}
}

// Revive starts the server again if it has ended by itself, as whoever looks after
// a server does, and returns when it answers.
func (s *Servers) Revive(t testing.TB) {
	t.Helper()
	srv := s.need(t)
	err := srv.wait(startTimeout / 10)
	if err != nil && srv.ended() {
		err = srv.start()
	}
	if err != nil {
		t.Fatalf("start PostgreSQL again: %v", err)
	}
}

// startTimeout bounds the start of a server.
const startTimeout = time.Minute

// URL makes an empty database that lives as long as the test, and says how to
// reach it.
func (s *Servers) URL(t testing.TB) string {
	t.Helper()
	srv := s.need(t)
	return srv.database(t, s.name(), "")
}

// Prepared is URL for a database with a content: prepare makes it once in a
// template, which is then copied for every test. It must not stay connected.
func (s *Servers) Prepared(t testing.TB, prepare func(url string) error) string {
	t.Helper()
	srv := s.need(t)
	name := s.name()
	// One at a time: a copy needs the template for itself.
	s.copying.Lock()
	defer s.copying.Unlock()
	if s.template == "" {
		template := name + "_template"
		err := srv.exec(`CREATE DATABASE ` + template)
		if err == nil {
			err = prepare(srv.at(template))
		}
		if err != nil {
			t.Fatalf("prepare a database: %v", err)
		}
		s.template = template
	}
	return srv.database(t, name, " TEMPLATE "+s.template)
}

// need gives the server, or skips or fails the test.
func (s *Servers) need(t testing.TB) *server {
	t.Helper()
	srv, err := s.get()
	if err != nil {
		tool.Missing(t, "there is no PostgreSQL: "+err.Error(), "all", "postgres")
	}
	return srv
}

// name is a name for a database that nobody else has.
func (s *Servers) name() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.made++
	return fmt.Sprintf("lorry_test_%d_%d", os.Getpid(), s.made)
}

// database makes a database and removes it with the test.
func (s *server) database(t testing.TB, name, how string) string {
	t.Helper()
	if err := s.exec(`CREATE DATABASE ` + name + how); err != nil {
		t.Fatalf("make a database: %v", err)
	}
	t.Cleanup(func() {
		if err := s.exec(`DROP DATABASE IF EXISTS ` + name + ` WITH (FORCE)`); err != nil {
			t.Errorf("drop the database: %v", err)
		}
	})
	return s.at(name)
}

// at is the URL of a database of the server.
func (s *server) at(database string) string {
	u := *s.url
	u.Path = "/" + database
	return u.String()
}

// Stop removes the prepared database and ends the server, if one was started.
func (s *Servers) Stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server != nil && s.server.stop == nil && s.template != "" {
		return s.server.exec(`DROP DATABASE IF EXISTS ` + s.template + ` WITH (FORCE)`)
	}
	if s.server == nil || s.server.stop == nil {
		return nil
	}
	stop := s.server.stop
	s.server.stop = nil
	return stop()
}

func (s *Servers) get() (*server, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.tried {
		s.tried = true
		s.server, s.err = start(s.Durable, s.WAL)
	}
	return s.server, s.err
}

// start tries the ways to a server in their order.
func start(durable bool, wal string) (*server, error) {
	if env := os.Getenv("LORRY_TEST_POSTGRES_URL"); env != "" && wal == "" {
		u, err := url.Parse(env)
		if err != nil {
			return nil, errors.New("LORRY_TEST_POSTGRES_URL is not a URL")
		}
		srv := &server{url: u}
		return srv, srv.wait(startTimeout)
	}
	srv, err := startDebian(durable, wal)
	if err == nil || wal != "" {
		return srv, err
	}
	srv, dockerErr := startDocker(durable)
	if dockerErr == nil {
		return srv, nil
	}
	return nil, errors.Join(err, dockerErr)
}

// exec runs one statement on a connection of its own.
func (s *server) exec(query string) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	db, err := sql.Open("pgx", s.url.String())
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, query)
	return errors.Join(err, db.Close())
}

// wait returns when the server answers.
func (s *server) wait(limit time.Duration) error {
	deadline := time.Now().Add(limit)
	for {
		err := s.exec(`SELECT 1`)
		if err == nil || time.Now().After(deadline) {
			return err
		}
		timer := time.NewTimer(50 * time.Millisecond)
		<-timer.C
	}
}
