package host

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/lorry-controller/lorry-controller/sdk"
)

var errLauncherClosed = errors.New("no adapter is started any more")

// verifyBinary checks that a program may be started as an adapter and gives
// its SHA-256 in hex. pin is the wanted one, or "". Its errors are
// sdk.Invalid: trying again changes nothing.
func verifyBinary(path, pin string) (string, error) {
	f, err := openBinary(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	return checksum(f, path, pin)
}

// openBinary opens a program that may be started.
func openBinary(path string) (*os.File, error) {
	if !filepath.IsAbs(path) {
		return nil, sdk.Errorf(sdk.Invalid, "the adapter's path %q is not absolute", path)
	}
	real, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, sdk.WithHint(sdk.Errorf(sdk.Invalid, "there is no adapter program %s", path),
			"install the adapter, or correct the host's type or the adapter's path")
	}
	if err != nil {
		return nil, sdk.Errorf(sdk.Invalid, "can't use the adapter program %s: %w", path, err)
	}
	for _, p := range []string{filepath.Dir(real), real} {
		if err := verifyOwner(p); err != nil {
			return nil, err
		}
	}
	f, err := os.OpenFile(real, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe must not make it wait
	if err != nil {
		return nil, sdk.Errorf(sdk.Invalid, "can't read the adapter program: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, sdk.Errorf(sdk.Invalid, "can't use the adapter program: %w", err)
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0 {
		_ = f.Close()
		return nil, sdk.WithHint(sdk.Errorf(sdk.Invalid, "%s is not an executable file", path), "chmod 755 "+path)
	}
	return f, nil
}

func checksum(f io.Reader, path, pin string) (string, error) {
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		return "", sdk.Errorf(sdk.Invalid, "can't read the adapter program: %w", err)
	}
	sum := hex.EncodeToString(hash.Sum(nil))
	if pin != "" && subtle.ConstantTimeCompare([]byte(sum), []byte(strings.ToLower(pin))) != 1 {
		return sum, sdk.WithHint(sdk.Errorf(sdk.Invalid, "%s has the SHA-256 %s, not %s as configured", path, sum, pin),
			"if the program was replaced on purpose, configure the new checksum")
	}
	return sum, nil
}

// verifyOwner refuses what somebody else could replace.
func verifyOwner(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return sdk.Errorf(sdk.Invalid, "can't use the adapter program: %w", err)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	if st.Uid != 0 && int(st.Uid) != os.Geteuid() {
		return sdk.WithHint(sdk.Errorf(sdk.Invalid, "%s belongs to user %d, who could replace it", path, st.Uid), "chown root "+path)
	}
	mode := info.Mode()
	if info.IsDir() && mode&fs.ModeSticky != 0 {
		return nil
	}
	foreignGroup := st.Gid != 0 && int(st.Gid) != os.Getegid()
	if mode.Perm()&0o002 != 0 || mode.Perm()&0o020 != 0 && foreignGroup {
		return sdk.WithHint(sdk.Errorf(sdk.Invalid, "%s can be written by others, who could replace it", path), "chmod go-w "+path)
	}
	return nil
}

// environment gives the variables that an adapter may see of ours.
func environment() []string {
	allowed := []string{
		"PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR",
		"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
	}
	var env []string
	for _, name := range allowed {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// proxyEnvironment names a proxy in the ways that programs look for. Hosts that
// are not to be reached by it are those of NO_PROXY, which is handed on.
func proxyEnvironment(proxy string) []string {
	if proxy == "" {
		return nil
	}
	var env []string
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"} {
		env = append(env, name+"="+proxy)
	}
	return env
}

// Verify tells what is wrong with a program before it is started as an
// adapter. sha256 is the wanted checksum in hex, or "".
func Verify(path, sha256 string) error {
	if sha256 != "" {
		_, err := verifyBinary(path, sha256)
		return err
	}
	f, err := openBinary(path)
	if err != nil {
		return err
	}
	return f.Close()
}
