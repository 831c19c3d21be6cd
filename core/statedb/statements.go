package statedb

import (
	"context"
	"database/sql"
	"errors"
	"sync"
)

// preparer is a *sql.DB or a *sql.Conn.
type preparer interface {
	PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
}

// runner runs SQL, within a transaction or outside of one.
type runner interface {
	// exec gives the number of rows that were changed.
	exec(ctx context.Context, query string, args ...any) (int64, error)
	// each calls scan for every row.
	each(ctx context.Context, scan func(scanner) error, query string, args ...any) error
	row(ctx context.Context, query string, args ...any) scanner
}

type scanner interface{ Scan(dest ...any) error }

// statements runs SQL through prepared statements that it keeps. The number of
// texts is small and fixed: none is built from data.
type statements struct {
	on preparer

	mu   sync.Mutex
	kept map[string]*sql.Stmt
}

func newStatements(on preparer) *statements {
	return &statements{on: on, kept: map[string]*sql.Stmt{}}
}

func (s *statements) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st := s.kept[query]; st != nil {
		return st, nil
	}
	st, err := s.on.PrepareContext(ctx, query) //nolint:sqlclosecheck // kept until close
	if err == nil {
		s.kept[query] = st
	}
	return st, err
}

func (s *statements) exec(ctx context.Context, query string, args ...any) (int64, error) {
	st, err := s.prepare(ctx, query) //nolint:sqlclosecheck // kept until close
	if err != nil {
		return 0, err
	}
	return affected(st.ExecContext(ctx, args...))
}

func (s *statements) each(ctx context.Context, scan func(scanner) error, query string, args ...any) error {
	st, err := s.prepare(ctx, query) //nolint:sqlclosecheck // kept until close
	if err != nil {
		return err
	}
	rows, err := st.QueryContext(ctx, args...)
	return scanAll(rows, err, scan)
}

func (s *statements) row(ctx context.Context, query string, args ...any) scanner {
	st, err := s.prepare(ctx, query) //nolint:sqlclosecheck // kept until close
	if err != nil {
		return failedRow{err}
	}
	return st.QueryRowContext(ctx, args...)
}

func (s *statements) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, st := range s.kept {
		errs = append(errs, st.Close())
	}
	clear(s.kept)
	return errors.Join(errs...)
}

type failedRow struct{ err error }

func (f failedRow) Scan(...any) error { return f.err }

func affected(res sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func scanAll(rows *sql.Rows, err error, scan func(scanner) error) error {
	if err != nil {
		return err
	}
	for rows.Next() {
		if err := scan(rows); err != nil {
			return errors.Join(err, rows.Close())
		}
	}
	return errors.Join(rows.Err(), rows.Close())
}

// collect reads all rows with scan.
func collect[T any](ctx context.Context, r runner, scan func(scanner) (T, error), query string, args ...any) ([]T, error) {
	var all []T
	err := r.each(ctx, appendTo(&all, scan), query, args...)
	if err != nil {
		return nil, err
	}
	return all, nil
}

// appendTo makes a scan of one row append to a list.
func appendTo[T any](all *[]T, scan func(scanner) (T, error)) func(scanner) error {
	return func(s scanner) error {
		v, err := scan(s)
		*all = append(*all, v)
		return err
	}
}

func scanText(s scanner) (string, error) {
	var v string
	err := s.Scan(&v)
	return v, err
}

func scanInt(s scanner) (int64, error) {
	var v int64
	err := s.Scan(&v)
	return v, err
}
