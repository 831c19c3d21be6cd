package host

import (
	"os"
	"path/filepath"

	"github.com/lorry-controller/lorry-controller/sdk"
	"github.com/lorry-controller/lorry-controller/sdk/internal/wire"
)

// socketBase gives a directory in which sockets can be made: the one given, or
// that of the system, or a usual one when those have paths that are too long.
// What is made in it is private, whoever else may write there.
func socketBase(dir string) (string, error) {
	wanted := dir
	if wanted == "" {
		wanted = os.TempDir()
	}
	wanted, err := filepath.Abs(wanted)
	if err != nil {
		return "", sdk.Errorf(sdk.Invalid, "the directory for sockets can't be found: %w", err)
	}
	if len(wanted) <= wire.MaxSocketBase {
		return wanted, nil
	}
	for _, usual := range []string{os.Getenv("XDG_RUNTIME_DIR"), "/tmp", "/var/tmp", "/dev/shm"} {
		if filepath.IsAbs(usual) && len(usual) <= wire.MaxSocketBase && writable(usual) {
			return usual, nil
		}
	}
	return "", tooLong(wanted)
}

func tooLong(dir string) error {
	return sdk.WithHint(
		sdk.Errorf(sdk.Invalid, "the path of the temporary directory %s has %d bytes, too many for sockets in it", dir, len(dir)),
		"set TMPDIR to a directory whose path is shorter, such as /tmp")
}

// writable reports whether a directory can be made in dir.
func writable(dir string) bool {
	made, err := os.MkdirTemp(dir, "plugin-dir")
	if err != nil {
		return false
	}
	return os.Remove(made) == nil
}
