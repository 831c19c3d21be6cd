package httpforge

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/lorry-controller/lorry-controller/sdk"
)

func TestTransports(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) }))
	t.Cleanup(server.Close)
	file := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(file, block, 0o600); err != nil {
		t.Fatal(err)
	}
	base, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name      string
		transport Transport
		token     string
		kind      sdk.Kind // "" is success
	}{
		{"unknown authority", Transport{CheckCertificates: true}, canary, sdk.Unavailable},
		{"own authority", Transport{CheckCertificates: true, CAFile: file}, canary, ""},
		{"unchecked, without a credential", Transport{}, "", ""},
		{"unchecked, with a credential", Transport{}, canary, sdk.Denied},
		{"unchecked, with a credential, as an admin wants", Transport{InsecureCredentials: true}, canary, ""},
	} {
		env := sdk.Env{HTTP: &http.Client{Transport: &http.Transport{}}}
		client, err := tc.transport.Client(env)
		if err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		c := New(Options{Base: base, HTTP: client, Scheme: "Bearer", Token: sdk.NewSecret(tc.token), Unverified: tc.transport.Unverified(env, base)})
		var out struct{}
		_, err = c.Do(t.Context(), Request{What: "it"}, &out)
		if tc.kind != "" {
			check(t, err, tc.kind, "")
		} else if err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
		_ = c.Close()
	}
	for address, want := range map[string]bool{"http://git.example.com": true, "http://127.0.0.1:3000": false, "http://localhost": false, "https://git.example.com": false} {
		web, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		if got := (Transport{CheckCertificates: true}).Unverified(sdk.Env{}, web); got != want {
			t.Errorf("%s: unverified: %v, wanted %v", address, got, want)
		}
		if (Transport{CheckCertificates: true, InsecureCredentials: true}).Unverified(sdk.Env{}, web) {
			t.Errorf("%s: refused though an admin wants it", address)
		}
	}
	if _, err := (Transport{CheckCertificates: true, CAFile: file + "x"}).Client(sdk.Env{}); err == nil || sdk.KindOf(err) != sdk.Invalid {
		t.Errorf("want a missing ca-file refused, got %v", err)
	}
}
