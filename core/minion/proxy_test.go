package minion

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core/protocol"
)

func TestTheProxyReachesLorryAndIsNotUsedOnThisMachine(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "proxy.conf")
	text := `{"hostname": "proxy.example.com", "port": "3128", "username": "me", "password": "s3cret", "no_proxy": ".intern.example.com, 192.0.2.0/24"}`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	values, err := Table("1").Parse([]string{"--no-default-configs", "--proxy-config", file}, nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := proxyOf(values)
	if err != nil {
		t.Fatal(err)
	}
	w := &worker{Options: Options{LorryProxy: p.forLorry()}}
	want := &protocol.Proxy{
		HTTP: "http://proxy.example.com:3128", HTTPS: "http://proxy.example.com:3128",
		NoProxy: ".intern.example.com, 192.0.2.0/24", Username: "me", Password: "s3cret",
	}
	if diff := cmp.Diff(want, w.importRequest(protocol.Job{}).Proxy); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"s3cret"}, w.secretsOf(protocol.Job{})); diff != "" {
		t.Errorf("kept out of the output (-want +got):\n%s", diff)
	}
	for address, through := range map[string]string{
		"http://controller.example.com:12765/": "http://me:s3cret@proxy.example.com:3128",
		"http://localhost:12765/":              "", "http://127.0.0.1:12765/": "", "http://[::1]:1/": "",
		"https://lc.intern.example.com/": "", "http://192.0.2.7/": "", "http://192.0.3.7/": "http://me:s3cret@proxy.example.com:3128",
	} {
		r, err := http.NewRequest(http.MethodGet, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if u, err := p.choose(r); err != nil {
			t.Errorf("%s: %v", address, err)
		} else if u != nil {
			got = u.String()
		}
		if got != through {
			t.Errorf("%s goes through %q, want %q", address, got, through)
		}
	}
}
