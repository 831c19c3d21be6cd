package statedb

import (
	"context"

	"github.com/lorry-controller/lorry-controller/core/queue"
)

// FindHeld implements queue.Store.
func (db *DB) FindHeld(ctx context.Context, s queue.HeldSearch) ([]queue.HeldRewrite, error) {
	ctx, cancel := db.deadline(ctx)
	defer cancel()
	for _, text := range []string{s.Path, s.Text, s.AfterPath, s.AfterRef} {
		if !storable(text) {
			return nil, nil
		}
	}
	var q query
	if s.Path != "" {
		q.add("path = %s", s.Path)
	}
	if s.Text != "" {
		q.add("lower(path)"+pathLike, containing(s.Text))
	}
	if !s.Before.IsZero() {
		q.add("since < %s", micros(s.Before))
	}
	if s.Approved != nil {
		q.add("approved = %s", *s.Approved)
	}
	if s.AfterPath != "" {
		q.where = append(q.where, "(path, ref) > ("+q.arg(s.AfterPath)+", "+q.arg(s.AfterRef)+")")
	}
	limit := s.Limit
	if limit < 1 {
		limit = 1<<31 - 1
	}
	text := `SELECT path, ref, old, new, since, approved FROM held_rewrites` + q.and() + ` ORDER BY path, ref LIMIT ` + q.arg(limit)
	all, err := collect(ctx, db.read, func(s scanner) (h queue.HeldRewrite, err error) {
		var since int64
		err = s.Scan(&h.Path, &h.Ref, &h.Old, &h.New, &since, &h.Approved)
		h.Since = fromMicros(since)
		return h, err
	}, text, q.args...)
	return all, classify("looking for held rewrites", err)
}
