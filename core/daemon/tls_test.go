package daemon

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/settings"
)

// authority issues certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{}
	a.pem, _, a.cert, a.key = issue(t, nil, "authority")
	return a
}

// issue makes a certificate with a name; without an authority it is one itself.
func issue(t *testing.T, by *authority, name string) (certPEM, keyPEM []byte, cert *x509.Certificate, key *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	parent, signer := template, key
	if by == nil {
		template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	} else {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	if cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: raw}), cert, key
}

// tlsPlace is a server with certificates from files.
type tlsPlace struct {
	t     *testing.T
	dir   string
	certs *certificates
	log   *bytes.Buffer
	url   string
}

func (p *tlsPlace) write(name string, data []byte) string {
	p.t.Helper()
	file := filepath.Join(p.dir, name)
	if err := os.WriteFile(file, data, 0o600); err != nil {
		p.t.Fatal(err)
	}
	return file
}

// look makes the next connection look at the files, as one a second later does.
func (p *tlsPlace) look() {
	p.certs.mu.Lock()
	defer p.certs.mu.Unlock()
	p.certs.looked = time.Time{}
}

func newTLSPlace(t *testing.T, server, minions *authority) *tlsPlace {
	t.Helper()
	p := &tlsPlace{t: t, dir: t.TempDir(), log: &bytes.Buffer{}}
	cert, key, _, _ := issue(t, server, "first")
	files := settings.Access{Certificate: p.write("tls.pem", cert), Key: p.write("tls.key", key), MinionCA: p.write("ca.pem", minions.pem)}
	var err error
	if p.certs, err = openCertificates(files, hclog.New(&hclog.LoggerOptions{Output: p.log})); err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := "nobody"
		if len(r.TLS.VerifiedChains) > 0 {
			name = r.TLS.VerifiedChains[0][0].Subject.CommonName
		}
		_, _ = io.WriteString(w, name)
	}))
	s.TLS = p.certs.server()
	s.Config.ErrorLog = hclog.NewNullLogger().StandardLogger(nil)
	s.StartTLS()
	t.Cleanup(s.Close)
	p.url = s.URL
	return p
}

// get gives whose certificate is served, and who the server thinks asks.
func (p *tlsPlace) get(config *tls.Config) (server, client string, err error) {
	p.t.Helper()
	transport := &http.Transport{TLSClientConfig: config}
	defer transport.CloseIdleConnections()
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, p.url, http.NoBody)
	if err != nil {
		p.t.Fatal(err)
	}
	response, err := transport.RoundTrip(r)
	if err != nil {
		return "", "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return response.TLS.PeerCertificates[0].Subject.CommonName, string(text), err
}

func TestCertificatesAreReadAgainAndABadPairIsNotServed(t *testing.T) {
	t.Parallel()
	server, minions := newAuthority(t), newAuthority(t)
	p := newTLSPlace(t, server, minions)
	client, err := protocol.ClientTLS(p.write("server-ca.pem", server.pem), "", "")
	if err != nil {
		t.Fatal(err)
	}
	serves := func(want string) {
		t.Helper()
		p.look()
		got, _, err := p.get(client)
		if err != nil || got != want {
			t.Errorf("want the certificate %q, got %q: %v", want, got, err)
		}
	}
	serves("first")
	cert, key, _, _ := issue(t, server, "second")
	p.write("tls.pem", cert) // the key is not there yet
	serves("first")
	serves("first")
	p.certs.mu.Lock() // it is written under this lock
	got := strings.Count(p.log.String(), "old certificate is served on")
	p.certs.mu.Unlock()
	if got != 1 {
		t.Errorf("want it said once, got %d times", got)
	}
	p.write("tls.key", key)
	serves("second")
	p.write("tls.pem", []byte("nonsense"))
	serves("second")
	if err := os.Remove(filepath.Join(p.dir, "tls.key")); err != nil {
		t.Fatal(err)
	}
	serves("second")
	cert, key, _, _ = issue(t, server, "third")
	p.write("tls.pem", cert)
	p.write("tls.key", key)
	serves("third")
	// The minions inside the process know the certificate itself, whatever its
	// names and its authority.
	response, err := p.certs.client().Get(p.url)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	p.certs.mu.Lock()
	p.certs.leaf = []byte("another")
	p.certs.mu.Unlock()
	if response, err = p.certs.client().Get(p.url); err == nil {
		response.Body.Close()
		t.Error("somebody else's certificate was taken for our own")
	}
}

func TestACertificateOfTheRightAuthorityMakesAMinion(t *testing.T) {
	t.Parallel()
	server, minions, others := newAuthority(t), newAuthority(t), newAuthority(t)
	p := newTLSPlace(t, server, minions)
	ca := p.write("server-ca.pem", server.pem)
	config := func(by *authority, name string) *tls.Config {
		cert, key, _, _ := issue(t, by, name)
		c, err := protocol.ClientTLS(ca, p.write(name+".pem", cert), p.write(name+".key", key))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if _, who, err := p.get(config(minions, "build-1")); err != nil || who != "build-1" {
		t.Errorf("got %q: %v", who, err)
	}
	if _, who, err := p.get(config(others, "intruder")); err == nil {
		t.Errorf("a certificate of another authority was taken: %q", who)
	}
	plain, err := protocol.ClientTLS(ca, "", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, who, err := p.get(plain); err != nil || who != "nobody" {
		t.Errorf("without a certificate: %q: %v", who, err)
	}
	old := plain.Clone()
	old.MaxVersion = tls.VersionTLS11
	old.MinVersion = tls.VersionTLS10
	if _, _, err := p.get(old); err == nil {
		t.Error("TLS 1.1 was served")
	}
}

func TestAClientsTLSFilesAreChecked(t *testing.T) {
	t.Parallel()
	p := &tlsPlace{t: t, dir: t.TempDir()}
	cert, key, _, _ := issue(t, nil, "x")
	_, otherKey, _, _ := issue(t, nil, "y")
	good, goodKey, wrong, nonsense := p.write("c", cert), p.write("k", key), p.write("o", otherKey), p.write("n", []byte("?"))
	got := map[string]bool{}
	want := map[string]bool{}
	for _, test := range []struct {
		ca, cert, key string
		ok            bool
	}{
		{"", "", "", true},
		{good, good, goodKey, true},
		{nonsense, "", "", false},
		{p.dir + "/none", "", "", false},
		{"", good, "", false},
		{"", "", goodKey, false},
		{"", good, wrong, false},
		{"", nonsense, goodKey, false},
	} {
		name := strings.Join([]string{filepath.Base(test.ca), filepath.Base(test.cert), filepath.Base(test.key)}, " ")
		_, err := protocol.ClientTLS(test.ca, test.cert, test.key)
		got[name], want[name] = err == nil, test.ok
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, files := range []settings.Access{{Certificate: good, Key: wrong}, {Certificate: nonsense, Key: goodKey}, {Certificate: good, Key: goodKey, MinionCA: nonsense}, {Certificate: good + "x", Key: goodKey}} {
		if _, err := openCertificates(files, hclog.NewNullLogger()); err == nil {
			t.Errorf("%+v was served", files)
		}
	}
}
