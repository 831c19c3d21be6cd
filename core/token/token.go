// Package token holds what a bearer token is: how one is made, what its role
// lets its holder do, and how one that a caller shows is compared with what the
// STATEDB keeps of it.
//
// It must not know HTTP or SQL, and never keeps a token after it was made: only
// its digest.
package token

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
)

const (
	// prefix begins each token, so that people and scanners for leaked secrets
	// recognise one.
	prefix = "lorry_"
	// idBytes make the part by which a token is found. It is no secret.
	idBytes = 5
	// secretBytes make the part that nobody can guess: 256 bit.
	secretBytes = 32
	// maxName bounds a token's name, in bytes.
	maxName = 60
)

// Token is what is known of a token that was given out.
type Token struct {
	// ID is a part of the token itself, and names it for ever.
	ID string
	// Name is what an admin calls it; no two that are not revoked have the same.
	Name string
	Role Role
	// Digest is the SHA-256 of the whole token, in hex. A slow, salted hash
	// protects passwords because people choose those from few; a token has 256
	// random bits, which nobody tries out however fast the hash.
	Digest  string
	Created time.Time
	// Expires is zero for one that never does.
	Expires time.Time
	// Used is when it was last seen, to the hour or so; zero for never.
	Used time.Time
	// Revoked is zero for one that still counts.
	Revoked time.Time
}

// Make makes a token out of randomness. The text is shown to its owner once. One
// without a name is called after its role and its id.
func Make(rand io.Reader, name string, role Role, now, expires time.Time) (Token, core.Secret, error) {
	if !expires.IsZero() && !expires.After(now) {
		return Token{}, core.Secret{}, core.Errorf(core.KindInvalid, "the token would have expired already")
	}
	random := make([]byte, idBytes+secretBytes)
	if _, err := io.ReadFull(rand, random); err != nil {
		return Token{}, core.Secret{}, fmt.Errorf("no randomness for a token: %w", err)
	}
	id := encode(random[:idBytes])
	if name == "" {
		name = string(role) + "-" + id
	}
	if err := CheckName(name); err != nil {
		return Token{}, core.Secret{}, err
	}
	text := prefix + id + "_" + encode(random[idBytes:])
	return Token{ID: id, Name: name, Role: role, Digest: Digest(text), Created: now, Expires: expires}, core.NewSecret(text), nil
}

// NewSession makes the text of a session's cookie out of randomness.
func NewSession(rand io.Reader) (core.Secret, error) {
	random := make([]byte, secretBytes)
	if _, err := io.ReadFull(rand, random); err != nil {
		return core.Secret{}, fmt.Errorf("no randomness for a session: %w", err)
	}
	return core.NewSecret(encode(random)), nil
}

func encode(b []byte) string {
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b))
}

// Digest gives what is kept of a token or a session's cookie.
func Digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// IDOf gives the part of a token by which it is found; false for a text that
// is no token.
func IDOf(text string) (string, bool) {
	rest, ok := strings.CutPrefix(text, prefix)
	id, secret, found := strings.Cut(rest, "_")
	return id, ok && found && id != "" && secret != ""
}

// Find gives the token with an id, or with a name and not revoked.
func Find(all []Token, name string) (Token, error) {
	for _, t := range all {
		if t.ID == name || t.Name == name && t.Revoked.IsZero() {
			return t, nil
		}
	}
	return Token{}, &core.Error{
		Kind: core.KindNotFound, Fact: "there is no token " + quoted(name),
		Hint: "name one by its id, or by its name if it is not revoked: lorryctl token list",
	}
}

// Matches reports whether text is this token. It takes the same time wherever
// the two differ.
func (t Token) Matches(text string) bool {
	return subtle.ConstantTimeCompare([]byte(t.Digest), []byte(Digest(text))) == 1
}

// Counts reports whether the token is neither revoked nor expired.
func (t Token) Counts(now time.Time) bool {
	return t.Revoked.IsZero() && (t.Expires.IsZero() || now.Before(t.Expires))
}

// State says in a word how the token is.
func (t Token) State(now time.Time) string {
	switch {
	case !t.Revoked.IsZero():
		return "revoked"
	case !t.Counts(now):
		return "expired"
	}
	return "active"
}

// Label names the token in the audit: its name, and its id, since a name may be
// given again once its token is revoked.
func (t Token) Label() string { return t.Name + "#" + t.ID }

// CheckName refuses a name that can't stand in a line of text.
func CheckName(name string) error {
	bad := name == "" || len(name) > maxName || strings.ContainsFunc(name, func(r rune) bool {
		return r <= ' ' || r == 0x7f || r >= 0x80 || strings.ContainsRune(`#"'\<>&`, r)
	})
	if bad {
		return &core.Error{
			Kind: core.KindInvalid, Fact: "a token can't be called " + quoted(name),
			Hint: "use up to " + strconv.Itoa(maxName) + " letters, digits and signs such as - . _ @, without blanks",
		}
	}
	return nil
}

// ParseExpiry reads how long a token is to count: a number with d, h or m; ""
// or "never" is the zero time.
func ParseExpiry(text string, now time.Time) (time.Time, error) {
	if text == "" || text == "never" {
		return time.Time{}, nil
	}
	bad := &core.Error{
		Kind: core.KindInvalid, Fact: "a token can't expire in " + quoted(text),
		Hint: "use a number of days, hours or minutes, such as 90d, 12h or 30m, or never",
	}
	n, err := strconv.ParseInt(text[:len(text)-1], 10, 32)
	unit := map[byte]time.Duration{'d': 24 * time.Hour, 'h': time.Hour, 'm': time.Minute}[text[len(text)-1]]
	if err != nil || n <= 0 || unit == 0 || n > int64(100*365*24*time.Hour/unit) {
		return time.Time{}, bad
	}
	return now.Add(time.Duration(n) * unit), nil
}

// quoted shows what a caller sent, shortened, but no token that he sent by
// mistake.
func quoted(s string) string {
	const most = 40
	if id, ok := IDOf(s); ok {
		s = prefix + id + "_…"
	}
	if runes := []rune(s); len(runes) > most {
		s = string(runes[:most]) + "…"
	}
	return strconv.Quote(s)
}
