package settings

import (
	"fmt"
	"time"
)

// Access are the settings of who may reach the API.
type Access struct {
	// Off lets everybody who reaches the address do everything.
	Off bool
	// MetricsPublic shows GET /metrics without a token.
	MetricsPublic bool
	// Certificate and Key are files; "" serves plain HTTP.
	Certificate, Key string
	// MinionCA is the file of the authorities whose certificates make a client a
	// minion; "" for none.
	MinionCA string
	// KeepAudit is how long rows of the audit are kept; 0 is for ever.
	KeepAudit time.Duration
}

// accessOptions say who may reach the API.
func accessOptions() []Option {
	return []Option{
		{Name: "insecure-no-auth", Kind: Bool, Default: "no", Doc: "Let everybody who reaches the address do everything, without a token."},
		{Name: "metrics-public", Kind: Bool, Default: "no", Doc: "Show the metrics without a token."},
		{Name: "tls-certificate", Metavar: "FILE", Doc: "Serve HTTPS with the certificate in FILE (PEM, with its chain). It is read again when it changes."},
		{Name: "tls-key", Metavar: "FILE", Doc: "The private key for tls-certificate (PEM)."},
		{Name: "minion-ca", Metavar: "FILE", Doc: "Who shows a certificate of one of the authorities in FILE (PEM) is a minion, without a token."},
		{Name: "keep-audit", Reread: true, Kind: Duration, Default: "0", Metavar: "TIME", Doc: "Remove rows of the audit that are older; 0 means never."},
	}
}

func access(v *Values) (Access, error) {
	a := Access{
		Off: v.Bool("insecure-no-auth"), MetricsPublic: v.Bool("metrics-public"), KeepAudit: v.Duration("keep-audit"),
		Certificate: absolutePath(v.String("tls-certificate")), Key: absolutePath(v.String("tls-key")), MinionCA: absolutePath(v.String("minion-ca")),
	}
	switch {
	case a.Certificate == "" && a.Key != "":
		return a, fmt.Errorf("%s: a key needs tls-certificate too", v.Source("tls-key"))
	case a.Certificate != "" && a.Key == "":
		return a, fmt.Errorf("%s: a certificate needs tls-key too", v.Source("tls-certificate"))
	case a.MinionCA != "" && a.Certificate == "":
		return a, fmt.Errorf("%s: certificates of minions need TLS, so tls-certificate and tls-key too", v.Source("minion-ca"))
	case a.Certificate != "" && v.Bool("wsgi"):
		return a, fmt.Errorf("%s: with wsgi the web server in front serves TLS", v.Source("tls-certificate"))
	}
	return a, nil
}

// ClientTLSOptions are the settings with which a program reaches a controller
// over TLS.
func ClientTLSOptions() []Option {
	return []Option{
		{Name: "ca-file", Metavar: "FILE", Doc: "Trust the authorities in FILE (PEM) for the controller's certificate, and no others."},
		{Name: "client-certificate", Metavar: "FILE", Doc: "Show the controller the certificate in FILE (PEM)."},
		{Name: "client-key", Metavar: "FILE", Doc: "The private key for client-certificate (PEM)."},
	}
}
