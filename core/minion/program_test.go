package minion

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestAnOldConfigurationFileStillWorks(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "minion.conf")
	text := "[config]\nlog = syslog\nlog-level = debug\nwebapp-host = localhost\nwebapp-port = 80\nwebapp-timeout = 3600\n" +
		"sleep = 7\nlorry-cmd = /usr/bin/lorry\nlorry-working-area = /srv/area\nproxy-config = /nowhere\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	values, err := Table("1").Parse([]string{"--no-default-configs", "--config", file, "--jobs", "3"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := Options{
		Controller: "http://localhost:80", Build: "1", Jobs: 3, LorryCmd: "/usr/bin/lorry",
		WorkingArea: "/srv/area", DrainTimeout: 10 * time.Second, Sleep: 7 * time.Second, Wait: 30 * time.Second, Timeout: time.Hour,
	}
	got := optionsOf(values, "1")
	ignored := cmpopts.IgnoreFields(Options{}, "Rand", "Token", "HTTP", "Log")
	if diff := cmp.Diff(want, got, ignored); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestMistakesAreTold(t *testing.T) {
	t.Parallel()
	proxy := filepath.Join(t.TempDir(), "proxy.conf")
	if err := os.WriteFile(proxy, []byte(`{"hostname": "proxy.example.com", "port": "none"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"--controller", "ftp://x"}, "http://controller.example.com:12765"},
		{[]string{"--controller", "http://user:pw@example.com"}, "token-file"},
		{[]string{"extra"}, `"extra"`},
		{[]string{"--proxy-config", "/no/such/proxy.conf"}, "proxy can't be read"},
		{[]string{"--proxy-config", proxy}, "65535"},
		{[]string{"--lorry-working-area", "/proc/none", "--log", "none"}, "working area"},
		{[]string{"--lorry-working-area", t.TempDir(), "--lorry-cmd", "no-such-lorry", "--log", "none"}, "no-such-lorry"},
	} {
		var stdout, stderr bytes.Buffer
		err := start(t.Context(), append([]string{"--no-default-configs"}, test.args...), nil, "1", &stdout, &stderr)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v: want an error with %q, got %v", test.args, test.want, err)
		}
	}
}

func TestHelpNamesEveryOption(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	if err := start(t.Context(), []string{"--help"}, nil, "1", &stdout, &stderr); err != nil {
		t.Fatal(err)
	}
	for _, option := range Table("1").Options {
		if !strings.Contains(stdout.String(), "--"+option.Name) {
			t.Errorf("--help does not name --%s", option.Name)
		}
	}
}
