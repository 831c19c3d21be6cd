package daemon

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/settings"
)

// lookEvery is how often the files of a certificate are looked at, at most:
// when somebody connects.
const lookEvery = time.Second

// certificates serves a certificate from files that may be replaced while the
// program runs. A new pair that does not work leaves the old one in use.
type certificates struct {
	files settings.Access
	log   hclog.Logger

	mu     sync.Mutex
	looked time.Time
	stamp  string // of the files that were read last, whether they worked or not
	config *tls.Config
	leaf   []byte
}

// openCertificates reads the files once; what is wrong with them is an error.
func openCertificates(files settings.Access, log hclog.Logger) (*certificates, error) {
	c := &certificates{files: files, log: log}
	stamp, err := c.stampNow()
	if err != nil {
		return nil, badPair(err)
	}
	if err := c.load(); err != nil {
		return nil, badPair(err)
	}
	c.stamp, c.looked = stamp, time.Now()
	return c, nil
}

func badPair(err error) error {
	return &core.Error{
		Kind: core.KindInvalid, Err: err, Fact: fmt.Sprintf("TLS can't be served: %v", err),
		Hint: "tls-certificate and tls-key name a certificate and the key that belongs to it, minion-ca a file of authorities, all in PEM",
	}
}

// stampNow changes whenever one of the files does.
func (c *certificates) stampNow() (string, error) {
	stamp := ""
	for _, file := range []string{c.files.Certificate, c.files.Key, c.files.MinionCA} {
		if file == "" {
			continue
		}
		info, err := os.Stat(file)
		if err != nil {
			return "", err
		}
		stamp += fmt.Sprintf("%s %d %d\n", file, info.Size(), info.ModTime().UnixNano())
	}
	return stamp, nil
}

// load reads the files and, when all is well, uses them.
func (c *certificates) load() error {
	pair, err := tls.LoadX509KeyPair(c.files.Certificate, c.files.Key)
	if err != nil {
		return err
	}
	config := &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, Certificates: []tls.Certificate{pair},
	}
	if c.files.MinionCA != "" {
		text, err := os.ReadFile(c.files.MinionCA)
		if err != nil {
			return err
		}
		config.ClientCAs = x509.NewCertPool()
		if !config.ClientCAs.AppendCertsFromPEM(text) {
			return fmt.Errorf("%s holds no certificate in PEM", c.files.MinionCA)
		}
		// People and scripts come without one, and show a token.
		config.ClientAuth = tls.VerifyClientCertIfGiven
	}
	c.config, c.leaf = config, slices.Clone(pair.Certificate[0])
	return nil
}

// current is the configuration to serve the next connection with.
func (c *certificates) current() *tls.Config {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.looked) < lookEvery {
		return c.config
	}
	c.looked = time.Now()
	stamp, err := c.stampNow()
	if err != nil {
		stamp = err.Error()
	}
	if stamp == c.stamp {
		return c.config
	}
	c.stamp = stamp
	if err == nil {
		err = c.load()
	}
	if err != nil {
		c.log.Error("the new TLS files can't be used, the old certificate is served on", "certificate", c.files.Certificate, "err", err)
		return c.config
	}
	c.log.Info("the TLS files were read again", "certificate", c.files.Certificate)
	return c.config
}

// server is the configuration for the listener.
func (c *certificates) server() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return c.current(), nil
		},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return &c.current().Certificates[0], nil
		},
	}
}

// own reports whether a certificate is the one that is served now.
func (c *certificates) own(raw []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return bytes.Equal(raw, c.leaf)
}

// client makes the client of the minions inside this process. They come by an
// address which the certificate need not name, so they know the certificate
// itself.
func (c *certificates) client() *http.Client {
	return &http.Client{Transport: &http.Transport{
		IdleConnTimeout: time.Minute, TLSHandshakeTimeout: 10 * time.Second,
		TLSClientConfig: &tls.Config{
			MinVersion:         tls.VersionTLS12,
			InsecureSkipVerify: true, //nolint:gosec // VerifyConnection takes nothing but our own certificate
			VerifyConnection: func(state tls.ConnectionState) error {
				if !c.own(state.PeerCertificates[0].Raw) {
					return errors.New("somebody else answers at the controller's own address")
				}
				return nil
			},
		},
	}}
}
