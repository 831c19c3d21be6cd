package sshfake

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"os"
)

// writeKeys makes the server's key, one of a user and one of a stranger.
func (s *Server) writeKeys() error {
	for _, name := range []string{"host", "user", "stranger"} {
		public, err := writeKey(s.file(name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(s.file(name)+".pub", []byte(public+"\n"), 0o600); err != nil {
			return err
		}
		if name != "user" {
			continue
		}
		if err := os.WriteFile(s.file("authorized_keys"), []byte(public+"\n"), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) writeKnownHosts() error {
	public, err := os.ReadFile(s.file("host") + ".pub")
	if err != nil {
		return err
	}
	return os.WriteFile(s.KnownHosts(), fmt.Appendf(nil, "[127.0.0.1]:%d %s", s.Port(), public), 0o600)
}

// ChangeHostKey gives the server another key; KnownHosts keeps the old one.
func (s *Server) ChangeHostKey() error {
	_, err := writeKey(s.file("host"))
	return err
}

// writeKey makes a private key and gives its public one as OpenSSH writes it.
func writeKey(file string) (public string, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		return "", err
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		return "", err
	}
	const algorithm, curve = "ecdsa-sha2-nistp256", "nistp256"
	var blob []byte
	for _, field := range [][]byte{[]byte(algorithm), []byte(curve), point} {
		blob = binary.BigEndian.AppendUint32(blob, uint32(len(field))) //nolint:gosec // some bytes
		blob = append(blob, field...)
	}
	return algorithm + " " + base64.StdEncoding.EncodeToString(blob), nil
}
