package settings

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWhoIsToldIsChecked(t *testing.T) {
	t.Parallel()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("s3cr3t\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	mail := []string{"--notify-smtp", "mail.example.com:587", "--notify-from", "lorry@example.com", "--notify-to", "a@example.com"}
	for _, test := range []struct {
		args []string
		want string // in the error; "" for none
	}{
		{mail, ""},
		{append(mail[:len(mail):len(mail)], "--notify-smtp-user", "u", "--notify-smtp-password-file", secret), ""},
		{append(mail[:len(mail):len(mail)], "--notify-smtp-user", "u"), "notify-smtp-password"},
		{append(mail[:len(mail):len(mail)], "--notify-smtp-user", "u", "--notify-smtp-password-file", secret, "--notify-smtp-security", "none"), "encrypted"},
		{[]string{"--notify-smtp", "mail.example.com:587"}, "notify-from"},
		{[]string{"--notify-smtp", "mail.example.com"}, "HOST:PORT"},
		{[]string{"--notify-to", "a@example.com"}, "notify-smtp"},
		{[]string{"--notify-to", "nobody"}, "mail address"},
		{[]string{"--notify-events", "failures", "--notify-events", "disk"}, ""},
		{[]string{"--notify-events", "parties"}, "parties"},
		{[]string{"--notify-webhook", "ftp://example.com"}, "https://hooks.example.com"},
		{[]string{"--notify-webhook", "https://u:s3cr3t@example.com/x"}, "no user name"},
		{[]string{"--notify-webhook-secret-file", secret}, "notify-webhook"},
		{[]string{"--webhook-secret-file", "forge=" + secret}, ""},
		{[]string{"--webhook-secret-file", "forge"}, "NAME=VALUE"},
	} {
		values, err := ControllerTable("1").Parse(append([]string{"--no-default-configs", "--downstream-host-type", "local", "--local-base-directory", "/x"}, test.args...), nil)
		if err == nil {
			_, err = NewController(values, false)
		}
		switch {
		case test.want == "" && err != nil:
			t.Errorf("%v: %v", test.args, err)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%v: want an error with %q, got %v", test.args, test.want, err)
		case err != nil && strings.Contains(err.Error(), "s3cr3t"):
			t.Errorf("%v: the error tells the secret: %v", test.args, err)
		}
	}
}
