package statedb

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

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
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, classify("opening it", err)
	}
	handle := stdlib.OpenDBFromPool(pool)
	db := &DB{
		dialect: postgresDialect(), head: &head{}, recall: newRecall(), log: o.Log, clock: o.Clock, timeout: o.Timeout,
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
	for try := 1; ; try++ {
		err := db.transactOnce(ctx, fn)
		if err == nil || !retryable(err) || try == postgresTries {
			return classify("writing", err)
		}
		db.log.Debug("transaction tried again", "try", try, "error", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(try*try) * 2 * time.Millisecond):
		}
	}
}

// transactOnce honours the caller's context until it has a connection; from
// then on the deadline alone ends it, so that a caller which goes away does not
// leave in doubt what was committed.
func (db *DB) transactOnce(ctx context.Context, fn func(ctx context.Context, tx *txn) error) error {
	waiting, stopWaiting := db.deadline(ctx)
	defer stopWaiting()
	conn, err := db.pool.Acquire(waiting)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return err
	}
	defer conn.Release() // one that is still in a transaction is closed
	ctx, cancel := db.deadline(context.WithoutCancel(ctx))
	defer cancel()
	p := newPipeline(conn.Conn())
	t := db.begin(p)
	err = fn(ctx, t)
	if g := t.guess; g != nil {
		ok := false
		if err == nil {
			ok, err = g.confirm(ctx, p)
		} else {
			err = nil // it may be so because of what was remembered
		}
		if !ok && err == nil {
			db.recall.learn(nil, []core.JobID{g.live.Job.ID})
			p = newPipeline(conn.Conn())
			t = db.begin(p)
			t.sure = true
			err = fn(ctx, t)
		}
	}
	if err == nil {
		err = p.commit(ctx)
	}
	if err != nil {
		return errors.Join(err, p.rollback(ctx))
	}
	db.recall.learn(t.began, t.gone)
	return nil
}

func (db *DB) begin(p *pipeline) *txn {
	return &txn{runner: p, d: db.dialect, script: p.script, sends: p, head: db.head, recall: db.recall}
}
