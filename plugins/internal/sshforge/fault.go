package sshforge

import (
	"errors"
	"os/exec"
	"strings"

	"github.com/lorry-controller/lorry-controller/sdk"
)

// sshExit is with what ssh itself ends when it got no command to run. A command
// may end so, too; what ssh says tells them apart.
const sshExit = 255

// outcome makes the error of an ended ssh, nil for success.
func (c *Client) outcome(err error, stderr string) error {
	if err == nil {
		return nil
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return sdk.Errorf(sdk.Unavailable, "running ssh to %s: %w", c.target.Host, err)
	}
	if code := exit.ExitCode(); code >= 0 && code != sshExit {
		return &ExitError{Code: code, Stderr: stderr}
	}
	return c.fault(stderr)
}

// fault finds out from ssh's words why there was no connection.
func (c *Client) fault(stderr string) error {
	host := c.target.Host
	for _, f := range faults() {
		for _, words := range f.words {
			if strings.Contains(stderr, words) {
				return sdk.WithHint(sdk.Errorf(f.kind, "%s: %s", host, f.fact), strings.ReplaceAll(f.hint, "HOST", c.target.knownAs()))
			}
		}
	}
	if line := LastLine(stderr); line != "" {
		return sdk.Errorf(sdk.Unavailable, "ssh to %s failed: %s", host, line)
	}
	return sdk.Errorf(sdk.Unavailable, "ssh to %s ended without saying why", host)
}

// kind of failure, by words of OpenSSH's client.
type failure struct {
	words []string
	kind  sdk.Kind
	fact  string
	hint  string
}

// faults is read from the top: a changed key also says "verification failed".
func faults() []failure {
	return []failure{
		{
			[]string{"REMOTE HOST IDENTIFICATION HAS CHANGED", "HOST KEY FOR", "REVOKED HOST KEY"},
			sdk.Unavailable, "its ssh host key is not the one that is known",
			"ask who runs the host whether its key was changed; only then replace the line of HOST in known_hosts",
		},
		{
			[]string{"Host key verification failed", "No matching host key", "no hostkey alg"},
			sdk.Unavailable, "its ssh host key is not known",
			"compare the key of HOST with what its owner publishes and add it to known_hosts",
		},
		{
			[]string{"UNPROTECTED PRIVATE KEY FILE", "bad permissions"},
			sdk.Unauthenticated, "the private ssh key may be read by others, so ssh does not use it",
			"give the key's file the mode 0600",
		},
		{
			[]string{"Permission denied (", "Too many authentication failures", "No supported authentication methods", "Authentication failed"},
			sdk.Unauthenticated, "it refuses the ssh key",
			"register the public key of the account that runs Lorry Controller at the host",
		},
		{
			[]string{"Unable to negotiate with", "no matching key exchange", "Protocol major versions differ"},
			sdk.Unavailable, "it has no ssh algorithm in common with this machine",
			"update the host's ssh server, or allow its algorithms in ssh_config",
		},
		{
			[]string{"Bad configuration option", "terminating, ", "Bad owner or permissions on"},
			sdk.Unavailable, "the ssh_config of this machine or account is broken", "try ssh by hand as the account that runs Lorry Controller",
		},
		{
			[]string{"Could not resolve hostname", "Name or service not known", "Temporary failure in name resolution"},
			sdk.Unavailable, "its name can't be resolved", "",
		},
		{[]string{"Connection refused"}, sdk.Unavailable, "it refuses the connection for ssh", ""},
		{[]string{"timed out", "Timeout, server", "not responding"}, sdk.Unavailable, "it did not answer in time", ""},
		{[]string{"No route to host", "Network is unreachable"}, sdk.Unavailable, "there is no way to it", ""},
		{
			[]string{"Connection closed", "Connection reset", "closed by remote host", "kex_exchange_identification", "banner exchange", "Broken pipe"},
			sdk.Unavailable, "it closed the ssh connection", "",
		},
	}
}

// LastLine gives the last line of a text that says something, in one line of
// at most 200 bytes.
func LastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	line := OneLine(lines[len(lines)-1])
	if len(line) > 200 {
		line = strings.ToValidUTF8(line[:200], "") + "…"
	}
	return line
}
