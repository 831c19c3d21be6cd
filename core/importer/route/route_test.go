package route

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/lorry-controller/lorry-controller/core"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestListed(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		list, host, port string
		want             bool
	}{
		{"example.com", "example.com", "80", true},
		{"example.com", "EXAMPLE.com.", "80", true},
		{"example.com", "git.example.com", "80", true},
		{"example.com", "notexample.com", "80", false},
		{".example.com", "example.com", "80", false},
		{"*.example.com", "git.example.com", "80", true},
		{"a.test, b.test", "b.test", "80", true},
		{"b.test:443", "b.test", "443", true},
		{"b.test:443", "b.test", "80", false},
		{"*", "anything", "1", true},
		{"10.0.0.0/8", "10.2.3.4", "80", true},
		{"10.0.0.0/8", "11.2.3.4", "80", false},
		{"10.0.0.1", "10.0.0.1", "80", true},
		{"[::1]:80", "[::1]", "80", true},
		{"::1", "::1", "80", true},
		{"::1", "::ffff:127.0.0.1", "80", false},
		{"", "x", "80", false},
		{"0.0.1", "10.0.0.1", "80", false},
	} {
		if got := listed(test.list, test.host, test.port); got != test.want {
			t.Errorf("%+v: got %v", test, got)
		}
	}
}

func FuzzListed(f *testing.F) {
	f.Add("example.com:80, .x, 10.0.0.0/8,[::1]:5,*", "example.com", "80")
	f.Fuzz(func(t *testing.T, list, host, port string) {
		if listed(list, host, port) && strings.Trim(list, ", \t") == "" {
			t.Errorf("the empty list names %q", host)
		}
	})
}

func FuzzParseProxy(f *testing.F) {
	f.Add("http://me:secretword@proxy.example.com:3128/")
	f.Fuzz(func(t *testing.T, text string) {
		u, err := ParseProxy(text)
		if err == nil && (u.User != nil || u.Hostname() == "" || u.Path != "") {
			t.Errorf("%q became %+v", text, u)
		}
		if _, _, _, err := splitCredential(text); err != nil && strings.Contains(text, "secretword") && strings.Contains(err.Error(), "secretword") {
			t.Errorf("the error tells the password: %v", err)
		}
	})
}

func TestPublic(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"93.184.216.34": true, "2606:2800:220:1::1": true, "::ffff:93.184.216.34": true, "8.8.8.8": true,
		"127.0.0.1": false, "::ffff:10.0.0.1": false, "0.0.0.0": false, "::": false, "::1": false, "169.254.1.1": false, "fe80::1%eth0": false,
		"100.64.0.1": false, "224.0.0.1": false, "255.255.255.255": false, "64:ff9b::a00:1": false, "2002:a00:1::": false, "fd00::1": false, "::7f00:1": false,
	} {
		if got := Public(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: got %v", text, got)
		}
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "proxy.conf")
	want := Route{HTTPProxy: "http://proxy.example.com:3128", HTTPSProxy: "http://proxy.example.com:3128", Username: "me", Password: core.NewSecret("pw:@/")}
	for _, port := range []string{"3128", `"3128"`} {
		if err := os.WriteFile(file, []byte(`{"hostname": "proxy.example.com", "port": `+port+`, "username": "me", "password": "pw:@/"}`), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := ReadFile(file); err != nil || got != want {
			t.Errorf("port %s: got %+v, %v", port, got, err)
		}
	}
	got, err := FromEnvironment([]string{"HTTP_PROXY=http://other:1", "http_proxy=http://me:pw%3A%40%2F@proxy.example.com:3128/", "ALL_PROXY=proxy.example.com:3128", "NO_PROXY=a,b"})
	want.NoProxy = "a,b"
	if err != nil || got != want {
		t.Errorf("want %+v, got %+v, %v", want, got, err)
	}
	for _, text := range []string{"{", `{"hostname": "x"}`, `{"hostname": "x", "port": 0}`, `{"hostname": "a b", "port": 1, "password": "geheim"}`} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := ReadFile(file); err == nil || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: got %+v, %v", text, got, err)
		}
	}
	if _, err := FromEnvironment([]string{"https_proxy=http://me:geheim@%zz:1"}); err == nil || strings.Contains(err.Error(), "geheim") {
		t.Errorf("got %v", err)
	}
}

// TestRelayWantsItsToken holds that nobody else on this machine can use it.
func TestRelayWantsItsToken(t *testing.T) {
	t.Parallel()
	behind := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Proxy-Authorization") != "" {
			t.Error("the token was passed on")
		}
		_, _ = io.WriteString(w, "hello")
	}))
	defer behind.Close()
	relay, err := Route{}.Relay(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer relay.Close()
	say := func(text string) string {
		t.Helper()
		c, err := net.Dial("tcp", relay.Address())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, text); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.ContentLength < 0 || resp.ContentLength > 100 {
			return resp.Status
		}
		body, _ := io.ReadAll(resp.Body)
		return fmt.Sprintf("%d %s", resp.StatusCode, body)
	}
	req := httptest.NewRequest(http.MethodGet, "/", nil)
	req.SetBasicAuth("lorry", relay.Token())
	token := "Proxy-Authorization: " + req.Header.Get("Authorization") + "\r\n"
	host := behind.Listener.Addr().String()
	got := []string{
		say("GET http://" + host + "/ HTTP/1.1\r\nHost: " + host + "\r\n\r\n"),
		say("CONNECT " + host + " HTTP/1.1\r\nHost: " + host + "\r\nProxy-Authorization: Basic bG9ycnk6eA==\r\n\r\n"),
		say("GET http://" + host + "/ HTTP/1.1\r\nHost: " + host + "\r\n" + token + "\r\n"),
		say("GET / HTTP/1.1\r\nHost: " + host + "\r\n" + token + "\r\n"),
	}
	want := []string{"407 the token of this job is wanted\n", "407 the token of this job is wanted\n", "200 hello", "400 this is a proxy\n"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestRelayEndsItsTunnels closes a relay that is in use.
func TestRelayEndsItsTunnels(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	relay, err := Route{}.Relay(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", relay.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	req := httptest.NewRequest(http.MethodGet, "/", nil)
	req.SetBasicAuth("lorry", relay.Token())
	fmt.Fprintf(c, "CONNECT %s HTTP/1.1\r\nHost: x\r\nProxy-Authorization: %s\r\n\r\n", l.Addr(), req.Header.Get("Authorization"))
	in := bufio.NewReader(c)
	if line, err := in.ReadString('\n'); err != nil || !strings.Contains(line, "200") {
		t.Fatalf("%q, %v", line, err)
	}
	relay.Close()
	if _, err := io.ReadAll(in); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Error(err)
	}
}
