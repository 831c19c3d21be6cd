package statedb

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/token"
)

// Tokens lists all tokens that were ever made, by their names.
func (db *DB) Tokens(ctx context.Context) ([]token.Token, error) {
	ctx, cancel := db.deadline(ctx)
	defer cancel()
	all, err := collect(ctx, db.read, func(s scanner) (t token.Token, err error) {
		var role string
		var created, expires, used, revoked int64
		err = s.Scan(&t.ID, &t.Name, &role, &t.Digest, &created, &expires, &used, &revoked)
		t.Role, t.Created, t.Expires, t.Used, t.Revoked = token.Role(role), fromMicros(created), fromMicros(expires), fromMicros(used), fromMicros(revoked)
		return t, err
	}, `SELECT id, name, role, digest, created, expires, used, revoked FROM tokens ORDER BY name, created, id`)
	return all, classify("reading the tokens", err)
}

// AddToken records a token. A name that another one has, unless that was
// revoked, is core.KindConflict.
func (db *DB) AddToken(ctx context.Context, t token.Token) error {
	return db.tx(ctx, func(ctx context.Context, tx *txn) error {
		n, err := tx.change(ctx, "adding a token", `INSERT INTO tokens (id, name, role, digest, created, expires)
			SELECT $1, CAST($2 AS TEXT), $3, $4, $5, $6 WHERE NOT EXISTS (SELECT 1 FROM tokens WHERE name = $2 AND revoked = 0)
			ON CONFLICT DO NOTHING`, t.ID, t.Name, string(t.Role), t.Digest, micros(t.Created), micros(t.Expires))
		if err == nil && n == 0 {
			return &core.Error{
				Kind: core.KindConflict, Fact: "there is a token with the name \"" + t.Name + "\" already",
				Hint: "choose another name, or revoke that one first",
			}
		}
		return err
	})
}

// RevokeToken makes the token with that id worthless, and ends its sessions.
// One that is not there, or was revoked before, is core.KindNotFound.
func (db *DB) RevokeToken(ctx context.Context, id string, now time.Time) error {
	if !storable(id) {
		return notFound("there is no such token")
	}
	return db.tx(ctx, func(ctx context.Context, tx *txn) error {
		n, err := tx.change(ctx, "revoking a token", `UPDATE tokens SET revoked = $2 WHERE id = $1 AND revoked = 0`, id, micros(now))
		if err != nil {
			return err
		}
		if n == 0 {
			return notFound("there is no token %q that still counts", id)
		}
		return tx.later(ctx, "ending sessions", `DELETE FROM sessions WHERE token = $1`, id)
	})
}

// TokenUsed records that a token was seen.
func (db *DB) TokenUsed(ctx context.Context, id string, at time.Time) error {
	return db.tx(ctx, func(ctx context.Context, tx *txn) error {
		return tx.later(ctx, "recording that a token was used", `UPDATE tokens SET used = $2 WHERE id = $1 AND used < $2`, id, micros(at))
	})
}

// maxSessions bounds how many sessions one token has; the oldest ends.
const maxSessions = 100

// AddSession records that somebody logged in, and forgets sessions that are
// over.
func (db *DB) AddSession(ctx context.Context, digest, tokenID string, now, expires time.Time) error {
	return db.tx(ctx, func(ctx context.Context, tx *txn) error {
		if err := tx.later(ctx, "forgetting sessions", `DELETE FROM sessions WHERE expires <= $1 OR (token = $2 AND digest NOT IN (
			SELECT digest FROM sessions WHERE token = $2 ORDER BY expires DESC, digest LIMIT $3))`, micros(now), tokenID, maxSessions-1); err != nil {
			return err
		}
		_, err := tx.change(ctx, "adding a session", `INSERT INTO sessions (digest, token, expires) VALUES ($1, $2, $3)`, digest, tokenID, micros(expires))
		return err
	})
}

// Session gives the id of the token that a session was begun with; "" for one
// that is not there or is over.
func (db *DB) Session(ctx context.Context, digest string, now time.Time) (string, error) {
	ctx, cancel := db.deadline(ctx)
	defer cancel()
	id, err := scanText(db.read.row(ctx, `SELECT token FROM sessions WHERE digest = $1 AND expires > $2`, digest, micros(now)))
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return id, classify("reading a session", err)
}

// EndSession forgets a session.
func (db *DB) EndSession(ctx context.Context, digest string) error {
	return db.tx(ctx, func(ctx context.Context, tx *txn) error {
		return tx.later(ctx, "ending a session", `DELETE FROM sessions WHERE digest = $1`, digest)
	})
}
