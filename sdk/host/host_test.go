package host

import (
	"bytes"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// read gives what the core's log has after an adapter has written text.
func read(text string, secrets ...string) string {
	var out bytes.Buffer
	redact := &Redactor{}
	redact.Add(secrets...)
	log := hclog.New(&hclog.LoggerOptions{Output: &out, Level: hclog.Trace, DisableTime: true})
	newLogReader(log, redact).read(strings.NewReader(text))
	return out.String()
}

func TestAdapterLogIsRead(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ in, want string }{
		"hclog":      {`{"@level":"warn","@message":"slow host","@timestamp":"x","pages":3}`, "[WARN]  slow host: pages=3\n"},
		"wrong type": {`{"@message":1,"@level":{},"k":[1]}`, "[INFO]  adapter logs: k=[1]\n"},
		"plain":      {"something", "[WARN]  adapter says: text=something cut=false\n"},
		"no object":  {"{not json", "[WARN]  adapter says: text=\"{not json\" cut=false\n"},
		"secret":     {`{"@level":"info","@message":"token hush-hush","t":"hush-hush"}`, "[INFO]  token [secret]: t=[secret]\n"},
		"escaped":    {`{"@level":"info","@message":"q\"uo\\te"}`, "[INFO]  [secret]\n"},
		"base64":     {"Basic aHVzaC1odXNo", "[WARN]  adapter says: text=\"Basic [secret]\" cut=false\n"},
		"control":    {"a\x1b[31mb\x00c\xff", "[WARN]  adapter says: text=\"a[31mbc\uFFFD\" cut=false\n"},
		"empty":      {"\n\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := read(tc.in, "hush-hush", `q"uo\te`); got != tc.want {
				t.Errorf("want %q, got %q", tc.want, got)
			}
		})
	}
}

func TestLongLinesAreCut(t *testing.T) {
	t.Parallel()
	got := read(strings.Repeat("x", 10*maxLine) + "\nnext\n")
	if len(got) > 2*maxLogValue || !strings.Contains(got, "cut=true") || !strings.Contains(got, "text=next") {
		t.Errorf("got %d bytes: …%s", len(got), got[max(len(got)-100, 0):])
	}
}

func TestSecretAcrossTheCutOfALineStaysSecret(t *testing.T) {
	t.Parallel()
	const secret = "canary-of-some-length"
	for offset := range len(secret) {
		got := read(strings.Repeat("x", maxLogValue-offset)+secret+"\n", secret)
		if strings.Contains(got, "canary") {
			t.Errorf("offset %d: the log has it", offset)
		}
	}
}

func TestRedactorPutsLongSecretsFirst(t *testing.T) {
	t.Parallel()
	r := &Redactor{}
	r.Add("abcd", "abcdefgh", "ab", "")
	if got := r.Redact("abcdefgh abcd ab"); got != "[secret] [secret] ab" {
		t.Errorf("got %q", got)
	}
}

func FuzzReadLog(f *testing.F) {
	f.Add(`{"@message": 1}`)
	f.Add(`{"@level":"error","@message":"x","a":{"b":[null]}}` + "\n\xff\x00")
	f.Fuzz(func(t *testing.T, text string) {
		if got := read(text, "canary"); strings.Contains(got, "canary") || strings.ContainsAny(got, "\x00\x1b") {
			t.Errorf("%q gives %q", text, got)
		}
	})
}
