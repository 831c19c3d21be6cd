package access

import (
	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/audit"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/webapp/exchange"
)

const (
	pageSize = 100  // without the field limit
	maxPage  = 1000 // whatever it says
)

// ReadAudit answers GET /1.0/audit: the newest rows first, those before the row
// before; or, with after, the rows behind that one, oldest first.
func (d *Desk) ReadAudit(r *exchange.Request) (exchange.Answer, error) {
	if d.o.Audit == nil {
		return nil, core.Errorf(core.KindUnsupported, "this controller keeps no audit")
	}
	limit, err := number(r, "limit")
	if err != nil {
		return nil, err
	}
	if limit == 0 {
		limit = pageSize
	}
	limit = min(limit, maxPage)
	// The ends first: whoever verifies must not be told of a later end than the
	// rows that he gets.
	ends, err := d.o.Audit.AuditEnds(r.Context())
	if err != nil {
		return nil, err
	}
	read, field := d.o.Audit.AuditBefore, "before"
	if r.Form.Has("after") {
		read, field = d.o.Audit.AuditAfter, "after"
	}
	at, err := number(r, field)
	if err != nil {
		return nil, err
	}
	entries, err := read(r.Context(), at, int(limit))
	if err != nil {
		return nil, err
	}
	answer := protocol.Audit{
		Entries: []protocol.AuditEntry{},
		Last:    protocol.AuditMark(ends.Last), Removed: protocol.AuditMark(ends.Removed),
	}
	for _, e := range entries {
		answer.Entries = append(answer.Entries, entry(e))
	}
	return exchange.JSON(answer), nil
}

// number reads a field that need not be there; nor may it be negative.
func number(r *exchange.Request, field string) (int64, error) {
	if r.Form.Get(field) == "" {
		return 0, nil
	}
	n, err := r.Form.Int(field)
	if err == nil && n < 0 {
		err = core.Errorf(core.KindInvalid, "field %q must not be negative", field)
	}
	return n, err
}

func entry(e audit.Entry) protocol.AuditEntry {
	return protocol.AuditEntry{
		Seq: e.Seq, Time: e.At.Unix(), Micros: e.At.UnixMicro(), Who: e.Who, From: e.From, Action: e.Action,
		Subject: e.Subject, Before: e.Was, After: e.Became, Result: e.Result, Hash: e.Hash,
	}
}
