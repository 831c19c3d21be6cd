package sshforge

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // the format of known_hosts
	"encoding/base64"
	"os"
	"path"
	"strings"

	"github.com/lorry-controller/lorry-controller/sdk"
)

const maxKnownHosts = 64 << 10

// KnownHosts gives the lines about the target from Options.KnownHosts, for
// whoever is going to run git; "" when no such file was named.
func (c *Client) KnownHosts() (string, error) {
	if c.opts.KnownHosts == "" {
		return "", nil
	}
	f, err := os.Open(c.opts.KnownHosts)
	if err != nil {
		return "", sdk.Errorf(sdk.Unavailable, "can't read the known hosts: %w", err)
	}
	defer func() { _ = f.Close() }()
	var b strings.Builder
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, maxKnownHosts)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if !about(line, c.target.knownAs()) || b.Len()+len(line) >= maxKnownHosts {
			continue
		}
		b.WriteString(line + "\n")
	}
	if err := lines.Err(); err != nil {
		return "", sdk.Errorf(sdk.Unavailable, "can't read the known hosts: %w", err)
	}
	return b.String(), nil
}

// about reports whether a line of known_hosts is about a host.
func about(line, host string) bool {
	fields := strings.Fields(line)
	if len(fields) > 0 && strings.HasPrefix(fields[0], "@") {
		fields = fields[1:]
	}
	if len(fields) < 3 || strings.HasPrefix(fields[0], "#") {
		return false
	}
	if rest, ok := strings.CutPrefix(fields[0], "|1|"); ok {
		return hashOf(rest, host)
	}
	found := false
	for pattern := range strings.SplitSeq(strings.ToLower(fields[0]), ",") {
		pattern, not := strings.CutPrefix(pattern, "!")
		// Brackets are no class of characters here, but hold host and port.
		pattern = strings.NewReplacer("[", `\[`, "]", `\]`).Replace(pattern)
		if ok, err := path.Match(pattern, host); err == nil && ok {
			if not {
				return false
			}
			found = true
		}
	}
	return found
}

// hashOf reports whether "SALT|HASH" is the hash of a host's name.
func hashOf(entry, host string) bool {
	salt64, hash64, _ := strings.Cut(entry, "|")
	salt, err := base64.StdEncoding.DecodeString(salt64)
	if err != nil {
		return false
	}
	want, err := base64.StdEncoding.DecodeString(hash64)
	if err != nil {
		return false
	}
	mac := hmac.New(sha1.New, salt)
	_, _ = mac.Write([]byte(host))
	return hmac.Equal(want, mac.Sum(nil))
}
