package statedb

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/lorry-controller/lorry-controller/core"
)

const (
	// postgresConns bounds the pool: more connections only add latency.
	postgresConns   = 16
	postgresTimeout = 15 * time.Second
	// postgresTries is how often a transaction is tried that met another one.
	postgresTries = 5
)

func openPostgres(ctx context.Context, o Options) (*DB, error) {
	if o.Timeout <= 0 {
		o.Timeout = postgresTimeout
	}
	config, err := pgxpool.ParseConfig(o.URL)
	if err != nil {
		return nil, classify("reading its URL", err) // pgx leaves the password out
	}
	if !strings.Contains(o.URL, "pool_max_conns") || config.MaxConns > postgresConns {
		config.MaxConns = postgresConns
	}
	config.ConnConfig.ConnectTimeout = min(o.Timeout, 10*time.Second)
	set := func(name, value string) {
		if config.ConnConfig.RuntimeParams[name] == "" {
			config.ConnConfig.RuntimeParams[name] = value
		}
	}
	millis := fmt.Sprint(o.Timeout.Milliseconds())
	set("application_name", "lorry-controller")
	set("timezone", "UTC")
	set("statement_timeout", millis)
	set("lock_timeout", millis)
	// A core that lost its network in a transaction must not keep its locks.
	set("idle_in_transaction_session_timeout", millis)
	// Every statement here finds few rows by an index. The planner, which takes
	// a parameter's rows for a hundred and a young table for small, would read
	// whole tables instead, and keep that plan while they grow.
	for _, way := range []string{"seqscan", "bitmapscan", "hashjoin", "mergejoin"} {
		set("enable_"+way, "off")
	}
	// With that one plan serves all parameters, and planning takes longer than
	// running: each statement is planned once a connection.
	set("plan_cache_mode", "force_generic_plan")
	set("jit", "off") // it takes longer to compile a statement than to run it
	head, recall := &head{}, newRecall()
	// It may be to another server, that has taken over and was not told everything.
	config.AfterConnect = func(context.Context, *pgx.Conn) error {
		head.forget()
		recall.forget()
		return nil
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, classify("opening it", err)
	}
	handle := stdlib.OpenDBFromPool(pool)
	db := &DB{
		dialect: postgresDialect(), head: head, recall: recall, log: o.Log, clock: o.Clock, timeout: o.Timeout,
		read: direct{handle}, pool: pool,
		close: sync.OnceValue(func() error {
			err := handle.Close()
			pool.Close()
			return err
		}),
	}
	if err := db.Ping(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// transact runs fn in one transaction, again if another was in its way.
func (db *DB) transact(ctx context.Context, fn func(ctx context.Context, tx *txn) error) error {
	waiting, working, stop := db.working(ctx)
	defer stop()
	for try := 1; ; try++ {
		err := db.transactOnce(ctx, waiting, working, fn)
		if err == nil || !retryable(err) || try == postgresTries {
			if late := context.Cause(working); err != nil && late != nil {
				err = fmt.Errorf("%w: %w", late, err)
			}
			return classify("writing", err)
		}
		db.log.Debug("transaction tried again", "try", try, "error", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-working.Done():
			return classify("writing", fmt.Errorf("%w: %w", context.Cause(working), err))
		case <-time.After(time.Duration(try*try) * 2 * time.Millisecond):
		}
	}
}

// working gives the context of a transaction that waits for a connection, and of
// one that has it: that ends with the deadline of the caller and with the
// database's, but not when the caller goes away, which would leave in doubt what
// was committed.
func (db *DB) working(ctx context.Context) (waiting, working context.Context, end func()) {
	working, cancel := db.deadline(context.WithoutCancel(ctx))
	working, late := context.WithCancelCause(working)
	waiting, gone := context.WithCancel(working)
	stop := context.AfterFunc(ctx, func() {
		if cause := context.Cause(ctx); errors.Is(cause, context.DeadlineExceeded) || errors.Is(ctx.Err(), context.DeadlineExceeded) {
			late(cause)
		}
		gone()
	})
	return waiting, working, func() {
		stop()
		gone()
		late(nil)
		cancel()
	}
}

// transactOnce makes one attempt, with the two contexts that working has made of
// the caller's.
func (db *DB) transactOnce(ctx, waiting, working context.Context, fn func(ctx context.Context, tx *txn) error) error {
	if ctx.Err() != nil { // waiting may learn it a moment later
		return ctx.Err()
	}
	conn, err := db.pool.Acquire(waiting)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return err
	}
	defer conn.Release() // one that is still in a transaction is closed
	p := newPipeline(conn.Conn())
	t := db.begin(p)
	err = fn(working, t)
	if t.guess != nil {
		p, t, err = db.confirm(working, p, t, fn, err)
	}
	if err == nil {
		err = p.commit(working)
	}
	if t.early {
		db.head.forget()
	}
	if err == nil {
		db.recall.learn(t.began, t.gone)
		return nil
	}
	err = errors.Join(err, p.rollback(working))
	db.recall.learn(nil, t.gone) // perhaps it was committed
	return err
}

// confirm ends an attempt to decide by what is remembered. If the database says
// anything else, it begins another transaction that reads.
func (db *DB) confirm(ctx context.Context, p *pipeline, t *txn, fn func(ctx context.Context, tx *txn) error, err error) (*pipeline, *txn, error) {
	ok := false
	if err == nil { // otherwise it may be so because of what was remembered
		ok, err = t.guess.confirm(ctx, p)
		if ok || err != nil {
			return p, t, err
		}
	}
	db.recall.learn(nil, []core.JobID{t.guess.live.Job.ID})
	p = newPipeline(p.conn)
	t = db.begin(p)
	t.sure = true
	return p, t, fn(ctx, t)
}

func (db *DB) begin(p *pipeline) *txn {
	return &txn{runner: p, d: db.dialect, script: p.script, sends: p, head: db.head, recall: db.recall}
}
