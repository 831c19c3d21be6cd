package settings

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAdaptersAreChosenPinnedLimitedAndConfigured(t *testing.T) {
	t.Parallel()
	sum := strings.Repeat("0aF1", 16)
	v, err := ControllerTable("1").Parse([]string{
		"--no-default-configs", "--adapters", "gitlab", "--adapters", "local",
		"--adapter-path", "gitlab=/opt/Forge/adapter", "--adapter-sha256", "gitlab=" + sum, "--adapter-max-calls", "gitlab=3",
		"--downstream-host-type", "gitlab", "--gitlab-private-token", "t",
		"--downstream-setting", "unprotect-branches=yes", "--downstream-setting", "query=a=b",
		"--downstream-secret-file", "password=/run/secret",
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := NewController(v, false)
	if err != nil {
		t.Fatal(err)
	}
	want := Adapters{
		Enabled: []string{"gitlab", "local"}, Path: map[string]string{"gitlab": "/opt/Forge/adapter"},
		SHA256: map[string]string{"gitlab": strings.ToLower(sum)}, MaxCalls: map[string]int{"gitlab": 3},
	}
	if diff := cmp.Diff(want, c.Adapters); diff != "" {
		t.Errorf("adapters (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"unprotect-branches": "yes", "query": "a=b"}, c.Downstream.Settings); diff != "" {
		t.Errorf("downstream settings (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"password": "/run/secret"}, c.Downstream.SecretFiles); diff != "" {
		t.Errorf("secret files (-want +got):\n%s", diff)
	}
}

func TestWrongAdapterSettingsAreTold(t *testing.T) {
	t.Parallel()
	for arg, want := range map[string]string{
		"--adapter-path=gitlab=adapter":           "must begin with",
		"--adapter-path=/bin/x":                   "TYPE=VALUE",
		"--adapter-sha256=gitlab=12":              "SHA-256",
		"--adapter-max-calls=gitlab=0":            "at least 1",
		"--adapter-max-calls=Git Lab=1":           "type of host",
		"--downstream-setting=x":                  "NAME=VALUE",
		"--downstream-secret-file=password=token": "must begin with",
	} {
		_, err := ControllerTable("1").Parse([]string{"--no-default-configs", arg}, nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: want an error with %q, got %v", arg, want, err)
		}
	}
}
