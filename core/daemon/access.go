package daemon

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/audit"
	"github.com/lorry-controller/lorry-controller/core/webapp/auth"
)

// openAccess decides who may do what, and refuses to serve everybody who
// reaches an address that is not this machine's own.
func (d *Daemon) openAccess(ctx context.Context) error {
	a := d.config.Access
	var err error
	if a.Certificate != "" {
		if d.certificates, err = openCertificates(a, d.log.Named("tls")); err != nil {
			return err
		}
	}
	d.guard, err = auth.New(auth.Options{
		Store: d.db, Log: d.log.Named("auth"), Clock: time.Now, Rand: rand.Reader, Off: a.Off, AnyName: d.config.WSGI,
	})
	if err != nil {
		return err
	}
	d.redactor.Add(d.guard.Inside())
	needed, err := d.guard.Needed(ctx)
	if err != nil {
		return err
	}
	open := d.listener == nil || !onLoopback(d.listener.Addr())
	switch {
	case needed:
		if open && d.certificates == nil && d.listener != nil {
			d.log.Warn("tokens travel in clear to this address, and minions elsewhere get no credentials: set tls-certificate and tls-key, or let a web server in front do that",
				"address", d.listener.Addr().String())
		}
	case a.Off && open:
		d.log.Warn("insecure-no-auth is set: anybody who reaches this controller can do everything")
	case a.Off:
		d.log.Info("insecure-no-auth is set: whoever is on this machine may do everything")
	case d.listener == nil:
		d.log.Info("no token is configured: only requests from this machine itself are answered, and may do everything; make a token with: lorry-controller token create --role admin")
	case open:
		return &core.Error{
			Kind: core.KindDenied,
			Fact: fmt.Sprintf("no token is configured, so that everybody who reaches %s could control the mirrors", d.listener.Addr()),
			Hint: "make the first token with \"lorry-controller token create --role admin\" and the same settings, or listen on 127.0.0.1, or set insecure-no-auth",
		}
	default:
		d.log.Info("no token is configured: only this machine is listened to, and whoever is on it may do everything",
			"address", d.listener.Addr().String())
	}
	return nil
}

// trimAudit removes what is older than the settings keep.
func (d *Daemon) trimAudit(ctx context.Context) error {
	keep := d.live().Access.KeepAudit
	if keep <= 0 {
		return nil
	}
	now := time.Now()
	removed, err := d.db.TrimAudit(ctx, now.Add(-keep), audit.Entry{
		At: now, Who: "controller", From: "upkeep", Action: "trim", Subject: "older than " + now.Add(-keep).UTC().Format(time.RFC3339), Result: "ok",
	})
	if err == nil && removed > 0 {
		d.log.Info("old rows of the audit were removed", "rows", removed)
	}
	return err
}
