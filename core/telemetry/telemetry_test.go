package telemetry

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/settings"
)

func at(text string) core.Clock {
	when, err := time.Parse(time.DateTime, text)
	if err != nil {
		panic(err)
	}
	return func() time.Time { return when }
}

func read(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestLinesInAFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "log")
	log, err := NewLogger(Options{
		Log: settings.Log{To: file, Level: "debug", Mode: 0o640},
		Now: at("2026-01-02 03:04:05"), Redactor: NewRedactor(core.NewSecret("p4ssword")),
	})
	if err != nil {
		t.Fatal(err)
	}
	log.Trace("left out")
	log.Debug("listing", "host", "git.example.com", "lorries", 3)
	log.Named("queue").Warn("a word", "url", "https://me:tok@example.com/x", "token", "p4ssword")
	log.Error("failed", "err", "two\nlines")
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	want := `2026-01-02 03:04:05 DEBUG listing: host=git.example.com lorries=3
2026-01-02 03:04:05 WARNING queue: a word: url=https://me:[secret]@example.com/x token=[secret]
2026-01-02 03:04:05 ERROR failed:
  err=
  | two
  | lines
`
	if diff := cmp.Diff(want, read(t, file)); diff != "" {
		t.Error(diff)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm()&^0o640 != 0 {
		t.Errorf("got %v, %v", info.Mode(), err)
	}
}

func TestOtherPlaces(t *testing.T) {
	t.Parallel()
	var stderr strings.Builder
	log, err := NewLogger(Options{Log: settings.Log{To: "stderr", Level: "info"}, Stderr: &stderr})
	if err != nil {
		t.Fatal(err)
	}
	log.Info("started")
	if diff := cmp.Diff("INFO started\n", stderr.String()); diff != "" {
		t.Error(diff)
	}
	log, err = NewLogger(Options{Log: settings.Log{To: "none", Level: "info"}, Stderr: &stderr})
	if err != nil || log.IsError() {
		t.Errorf("a log that goes nowhere logs, or %v", err)
	}
	if err := log.Close(); err != nil {
		t.Error(err)
	}
	if _, err := NewLogger(Options{Log: settings.Log{To: "/does/not/exist/log"}}); err == nil {
		t.Error("no error for a directory that is missing")
	}
}

func TestFilesAreTurned(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		keep int
		want map[string]string
	}{
		{keep: 2, want: map[string]string{"log": "5", "log.1": "4", "log.2": "3"}},
		{keep: 0, want: map[string]string{"log": "5"}},
	} {
		dir := t.TempDir()
		log, err := NewLogger(Options{Log: settings.Log{To: filepath.Join(dir, "log"), Max: 30, Keep: tt.keep}, Now: at("2026-01-02 03:04:05")})
		if err != nil {
			t.Fatal(err)
		}
		for _, message := range []string{"1", "2", "3", "4", "5"} {
			log.Info(message)
		}
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			text := read(t, filepath.Join(dir, entry.Name()))
			got[entry.Name()] = strings.TrimSuffix(strings.ReplaceAll(text, "2026-01-02 03:04:05 INFO ", ""), "\n")
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("keep %d: %s", tt.keep, diff)
		}
	}
}

func TestReopen(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "log")
	log, err := NewLogger(Options{Log: settings.Log{To: file}, Now: at("2026-01-02 03:04:05")})
	if err != nil {
		t.Fatal(err)
	}
	log.Info("old")
	if err := os.Rename(file, file+".moved"); err != nil {
		t.Fatal(err)
	}
	if err := log.Reopen(); err != nil {
		t.Fatal(err)
	}
	log.Info("new")
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if got := read(t, file); !strings.HasSuffix(got, "INFO new\n") || strings.Contains(got, "old") {
		t.Errorf("got %q", got)
	}
}

func TestRedact(t *testing.T) {
	t.Parallel()
	r := NewRedactor(core.NewSecret("to ken/1"), core.NewSecret("abc"))
	for text, want := range map[string]string{
		"plain":                                                          "plain",
		"to ken/1 and abc":                                               "[secret] and abc",
		"to+ken%2F1 to%20ken%2F1":                                        "[secret] [secret]",
		"dG8ga2VuLzE=":                                                   "[secret]",
		"https://u:pw@example.com/a":                                     "https://u:[secret]@example.com/a",
		"ssh://git@example.com/a":                                        "ssh://git@example.com/a",
		"https://glpat@example.com/a":                                    "https://[secret]@example.com/a",
		"Authorization: Bearer x.y.z":                                    "Authorization: [secret]",
		"url=\"https://example.com/a?token=abc&b=c\"":                    "url=\"https://example.com/a?token=[secret]&b=c\"",
		"https://example.com/a?sig=abc refs/heads/token":                 "https://example.com/a?sig=[secret] refs/heads/token",
		"Authorization: Bearer x.y-TOKEN":                                "Authorization: [secret]",
		"Authorization: Bearer x.y…":                                     "Authorization: [secret]",
		`send one as "Authorization: Bearer …"; an admin makes it`:       `send one as "Authorization: Bearer …"; an admin makes it`,
		`{"hint":"send one as \\"Authorization: Bearer …\\"; an admin"}`: `{"hint":"send one as \\"Authorization: Bearer …\\"; an admin"}`,
		"Authorization: Bearer TOKEN":                                    "Authorization: Bearer TOKEN",
		`"Authorization: Bearer …" and Authorization: Bearer x`:          `"Authorization: Bearer …" and Authorization: [secret]`,
		"see https://example.com/ and a:b@c.d":                           "see https://example.com/ and a:b@c.d",
	} {
		if diff := cmp.Diff(want, r.Redact(text)); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	}
	var none *Redactor
	if got := none.Redact("//a:b@c"); got != "//a:[secret]@c" {
		t.Errorf("got %q", got)
	}
}
