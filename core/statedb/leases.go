package statedb

import (
	"context"
	"slices"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
)

// TryLead takes or renews the lease under which one core alone does the
// upkeep. ok is set when holder has it until ttl from now; term grows whenever
// the holder changes, so that work can be stamped with it. A holder should stop
// leading well before ttl has gone by without a renewal. The clock is the
// server's, so that those of cores may differ; and a lease that ends later than
// two of the asker's would is left from before that clock was set back, and void.
func (db *DB) TryLead(ctx context.Context, holder string, ttl time.Duration) (term int64, ok bool, err error) {
	now, err := db.leaseTime(ctx)
	if err != nil {
		return 0, false, err
	}
	err = db.tx(ctx, func(ctx context.Context, tx *txn) error {
		rows, err := collect(ctx, tx, scanInt, `INSERT INTO leases (name, holder, term, until) VALUES ('upkeep', $1, 1, $2)
			ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until,
				term = CASE WHEN leases.holder = excluded.holder AND leases.until > $3 THEN leases.term ELSE leases.term + 1 END
			WHERE leases.holder IN (excluded.holder, '') OR leases.until <= $3 OR leases.until > $4
			RETURNING term`, holder, micros(now.Add(ttl)), micros(now), micros(now.Add(2*ttl)))
		term, ok = 0, len(rows) > 0
		if ok {
			term = rows[0]
		}
		return describe("taking the upkeep lease", err)
	})
	return term, ok && err == nil, err
}

// termKey is the key of a term in a context.
type termKey struct{}

// UnderTerm gives the context of what is done under a term of the upkeep lease.
// A transaction under a term that is over by its end is undone and refused with
// core.KindConflict: a core that was stopped for longer than its lease, and goes
// on, writes nothing over what its successor has written.
func UnderTerm(ctx context.Context, term int64) context.Context {
	return context.WithValue(ctx, termKey{}, term)
}

// underTerm adds to a transaction that its term, if it has one, must not be over.
func underTerm(ctx context.Context, fn func(ctx context.Context, tx *txn) error) func(ctx context.Context, tx *txn) error {
	term, fenced := ctx.Value(termKey{}).(int64)
	if !fenced {
		return fn
	}
	return func(ctx context.Context, tx *txn) error {
		if err := fn(ctx, tx); err != nil {
			return err
		}
		// The lock keeps a successor out until the commit.
		now, err := collect(ctx, tx, scanInt, `SELECT term FROM leases WHERE name = 'upkeep'`+tx.d.forShare("leases"))
		if err == nil && !slices.Equal(now, []int64{term}) {
			return core.Errorf(core.KindConflict, "state database: another core does the upkeep by now, or this one under a later term than %d", term)
		}
		return describe("looking who does the upkeep", err)
	}
}

// ServerTime tells the time of the database's server, which is the one that
// counts for all cores; zero for a file, which has none.
func (db *DB) ServerTime(ctx context.Context) (time.Time, error) {
	if db.dialect.now == "" {
		return time.Time{}, nil
	}
	ctx, cancel := db.deadline(ctx)
	defer cancel()
	var now int64
	err := db.read.row(ctx, db.dialect.now).Scan(&now)
	return fromMicros(now), classify("reading the server's clock", err)
}

// leaseTime is the server's time or, with a file, that of its one core.
func (db *DB) leaseTime(ctx context.Context) (time.Time, error) {
	now, err := db.ServerTime(ctx)
	if now.IsZero() {
		now = db.clock()
	}
	return now, err
}

// Resign gives the upkeep lease up, if holder has it, so that another core
// need not wait for its end.
func (db *DB) Resign(ctx context.Context, holder string) error {
	return db.endLease(ctx, "resigning", `holder = $2`, holder)
}

// EndLease gives the upkeep lease up for a holder whose name begins with prefix
// ("": for any). The caller must know that no such holder runs any more.
func (db *DB) EndLease(ctx context.Context, prefix string) error {
	return db.endLease(ctx, "ending the lease of a holder that is gone", `substr(holder, 1, length(CAST($2 AS TEXT))) = CAST($2 AS TEXT)`, prefix)
}

// endLease leaves the lease to nobody, and until when somebody had it, for Alone.
func (db *DB) endLease(ctx context.Context, doing, whose, holder string) error {
	now, err := db.leaseTime(ctx)
	if err != nil {
		return err
	}
	return db.tx(ctx, func(ctx context.Context, tx *txn) error {
		_, err := tx.change(ctx, doing, `UPDATE leases SET holder = '', until = CASE WHEN until < $1 THEN until ELSE $1 END
			WHERE name = 'upkeep' AND `+whose, micros(now), holder)
		return err
	})
}

// Alone implements queue.Store.
func (db *DB) Alone(ctx context.Context) (time.Duration, error) {
	now, err := db.leaseTime(ctx)
	if err != nil {
		return 0, err
	}
	ctx, cancel := db.deadline(ctx)
	defer cancel()
	ends, err := collect(ctx, db.read, scanInt, `SELECT until FROM leases WHERE name = 'upkeep' AND until > 0`)
	if err != nil || len(ends) == 0 {
		return 0, classify("looking who did the upkeep last", err)
	}
	return max(now.Sub(fromMicros(ends[0])), 0), nil
}
