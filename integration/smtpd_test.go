package integration

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// smtpdMain is "smtpd ADDR DIR PASSWORD": a mail server that offers STARTTLS and
// takes mail only over TLS and from whoever logs in with the password. It puts
// its certificate into DIR/ca.pem and what it gets into DIR/mails.
func smtpdMain(args []string) error {
	if len(args) != 3 {
		return errors.New("usage: smtpd ADDR DIR PASSWORD")
	}
	config, err := certificate(filepath.Join(args[1], "ca.pem"))
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", args[0])
	if err != nil {
		return err
	}
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		s := &smtpSession{conn: conn, config: config, file: filepath.Join(args[1], "mails"), password: args[2]}
		if err := s.serve(); err != nil && !errors.Is(err, io.EOF) {
			fmt.Fprintln(os.Stderr, "smtpd:", err)
		}
		conn.Close()
	}
}

func certificate(file string) (*tls.Config, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}},
		os.WriteFile(file, text, 0o600)
}

// smtpSession is one connection, as RFC 5321 has it.
type smtpSession struct {
	conn           net.Conn
	config         *tls.Config
	file, password string
	in             *bufio.Reader
	encrypted      bool
	known          bool
}

func (s *smtpSession) say(line string) error {
	_, err := io.WriteString(s.conn, line+"\r\n")
	return err
}

func (s *smtpSession) serve() error {
	s.in = bufio.NewReader(s.conn)
	err := s.say("220 mail.example.com ready")
	for err == nil {
		var line string
		if line, err = s.in.ReadString('\n'); err != nil {
			break
		}
		verb, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch verb = strings.ToUpper(verb); {
		case verb == "EHLO" && !s.encrypted:
			err = s.say("250-mail.example.com\r\n250 STARTTLS")
		case verb == "EHLO":
			err = s.say("250-mail.example.com\r\n250 AUTH PLAIN")
		case verb == "STARTTLS":
			if err = s.say("220 go on"); err == nil {
				s.conn = tls.Server(s.conn, s.config)
				s.in, s.encrypted = bufio.NewReader(s.conn), true
			}
		case verb == "AUTH":
			_, given, _ := strings.Cut(rest, " ")
			text, _ := base64.StdEncoding.DecodeString(given)
			if s.known = s.encrypted && string(text) == "\x00lorry\x00"+s.password; s.known {
				err = s.say("235 welcome")
			} else {
				err = s.say("535 who are you?")
			}
		case verb == "QUIT":
			return s.say("221 bye")
		case !s.known:
			err = s.say("530 log in first")
		case verb == "DATA":
			err = s.data()
		default: // MAIL, RCPT
			err = s.say("250 ok")
		}
	}
	return err
}

// data takes one mail and keeps its subject, its recipients and its text.
func (s *smtpSession) data() error {
	if err := s.say("354 go on"); err != nil {
		return err
	}
	var text strings.Builder
	for {
		line, err := s.in.ReadString('\n')
		if err != nil {
			return err
		}
		if line == ".\r\n" {
			break
		}
		text.WriteString(strings.TrimPrefix(line, "."))
	}
	m, err := mail.ReadMessage(strings.NewReader(text.String()))
	if err != nil {
		return err
	}
	body, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, m.Body))
	if err != nil {
		return err
	}
	f, err := os.OpenFile(s.file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "To: %s\nSubject: %s\n%s\n", m.Header.Get("To"), m.Header.Get("Subject"), body)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return s.say("250 taken")
}
