package sshforge

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // the format of known_hosts
	"encoding/base64"
	"net"
	"slices"
	"sync"
	"testing"

	"github.com/lorry-controller/lorry-controller/sdk/forgetest/sshfake"
)

func hashed(t *testing.T, salt, host string) string {
	t.Helper()
	key, err := base64.StdEncoding.DecodeString(salt)
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha1.New, key)
	_, _ = mac.Write([]byte(host))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// silent listens, takes connections and says nothing.
func silent(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var conns []net.Conn
	var done sync.WaitGroup
	done.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, conn)
			mu.Unlock()
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		done.Wait()
		for _, c := range conns {
			_ = c.Close()
		}
	})
	return l.Addr().String()
}

func FuzzQuote(f *testing.F) {
	for _, seed := range []string{"a b", `it's`, `"`, `\`, "$(x)", ";", "", "ü", "-x", "a\nb"} {
		f.Add(seed, "second")
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		line, err := Quote(first, second)
		if err != nil {
			return
		}
		got, err := sshfake.Split(line)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if want := []string{first, second}; !slices.Equal(want, got) {
			t.Fatalf("%q is split into %q, want %q", line, got, want)
		}
	})
}

func FuzzParseURL(f *testing.F) {
	for _, seed := range []string{"ssh://git@git.example.com:22/a", "ssh://-x/", "ssh://[::1]:22", "ssh://a%2f@b/", "ssh://:0:"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		target, err := ParseURL(raw)
		if err != nil {
			return
		}
		again, err := ParseURL(target.URL("p"))
		if err != nil {
			t.Fatalf("%q became %q: %v", raw, target.URL("p"), err)
		}
		again.Base = target.Base
		if again != target {
			t.Fatalf("%q became %+v, then %+v", raw, target, again)
		}
	})
}

func FuzzKnownHosts(f *testing.F) {
	f.Add("|1|a|b ssh-rsa k", "git.example.com")
	f.Add("@revoked [a]:2 ssh-rsa k", "[a]:2")
	f.Fuzz(func(_ *testing.T, line, host string) { about(line, host) })
}
