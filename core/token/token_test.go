package token

import (
	"bytes"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func now() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

func TestATokenIsFoundByItsIDAndKnownByItsDigest(t *testing.T) {
	t.Parallel()
	made, text, err := Make(rand.Reader, "ci", Operator, now(), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	id, ok := IDOf(text.Reveal())
	if !ok || id != made.ID || !made.Matches(text.Reveal()) {
		t.Errorf("it is not found again: %q, %v", id, ok)
	}
	if strings.Contains(made.Digest, text.Reveal()[15:]) || len(text.Reveal()) != len("lorry_")+8+1+52 {
		t.Error("it has another form")
	}
	other, otherText, err := Make(rand.Reader, "", Operator, now(), time.Time{})
	if err != nil || other.Name != "operator-"+other.ID || other.Matches(text.Reveal()) || made.Matches(otherText.Reveal()) || (Token{}).Matches("") {
		t.Errorf("one token is another: %+v, %v", other, err)
	}
	if diff := cmp.Diff("ci#"+made.ID, made.Label()); diff != "" {
		t.Error(diff)
	}
	if _, _, err := Make(bytes.NewReader(nil), "x", Viewer, now(), time.Time{}); err == nil {
		t.Error("a token was made without randomness")
	}
	for _, text := range []string{"", "lorry", "lorry_", "lorry_a", "lorry_a_", "lorry__b", "Lorry_a_b", "x"} {
		if _, ok := IDOf(text); ok {
			t.Errorf("%q is taken for a token", text)
		}
	}
	all := []Token{{ID: "1", Name: "a", Revoked: now()}, {ID: "2", Name: "a"}}
	for name, want := range map[string]string{"a": "2", "1": "1", "2": "2", "b": ""} {
		got, err := Find(all, name)
		if got.ID != want || (err == nil) != (want != "") {
			t.Errorf("Find %q: %+v, %v", name, got, err)
		}
	}
	if _, err := Find(all, text.Reveal()); err == nil || strings.Contains(err.Error(), text.Reveal()[16:30]) {
		t.Errorf("a token was shown: %v", err)
	}
}

func TestATokenEndsWithItsTimeOrWhenItIsRevoked(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{"": 0, "never": 0, "90d": 90 * 24 * time.Hour, "12h": 12 * time.Hour, "5m": 5 * time.Minute} {
		expires, err := ParseExpiry(text, now())
		if err != nil || want == 0 != expires.IsZero() || want != 0 && !expires.Equal(now().Add(want)) {
			t.Errorf("%q: %v, %v", text, expires, err)
		}
	}
	for _, text := range []string{"d", "0d", "-1d", "1", "1.5d", "999999d", "1y", "9999999999999999999d", "é"} {
		if at, err := ParseExpiry(text, now()); err == nil {
			t.Errorf("%q is %v", text, at)
		}
	}
	got := map[string]Token{
		"active": {Expires: now().Add(1)}, "expired": {Expires: now()}, "revoked": {Expires: now(), Revoked: now()},
	}
	for want, one := range got {
		if one.State(now()) != want || one.Counts(now()) != (want == "active") {
			t.Errorf("want %s, got %s", want, one.State(now()))
		}
	}
}

func FuzzParseExpiry(f *testing.F) {
	f.Add("90d")
	f.Add("9223372036854775807h")
	f.Add("m")
	f.Fuzz(func(t *testing.T, text string) {
		at, err := ParseExpiry(text, now())
		if err == nil && !at.IsZero() && !at.After(now()) {
			t.Errorf("%q is over already: %v", text, at)
		}
	})
}
