package protocol

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

	"github.com/lorry-controller/lorry-controller/core"
)

// ClientTLS says how a program reaches a controller over TLS. ca names the file
// of the authorities to trust, and no others; "" trusts the machine's.
// certificate and key name the files of what the program shows of itself; they
// are read for each connection, so that they may be replaced. "" shows nothing.
func ClientTLS(ca, certificate, key string) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca != "" {
		text, err := os.ReadFile(ca)
		if err != nil {
			return nil, core.Errorf(core.KindInvalid, "ca-file can't be read: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, core.Errorf(core.KindInvalid, "ca-file %q holds no certificate in PEM", ca)
		}
	}
	if (certificate == "") != (key == "") {
		return nil, core.Errorf(core.KindInvalid, "client-certificate and client-key belong together: name both or none")
	}
	if certificate == "" {
		return config, nil
	}
	load := func() (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(certificate, key)
		if err != nil {
			return nil, fmt.Errorf("client certificate can't be used: %w", err)
		}
		return &pair, nil
	}
	if _, err := load(); err != nil {
		return nil, &core.Error{Kind: core.KindInvalid, Err: err, Fact: err.Error(), Hint: "name a certificate and its key, both in PEM"}
	}
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return load() }
	return config, nil
}
