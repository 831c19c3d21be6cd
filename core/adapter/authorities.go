package adapter

import (
	"encoding/pem"
	"io"
	"os"

	"github.com/lorry-controller/lorry-controller/sdk"
)

// maxAuthorities bounds a ca-file, in bytes: it goes along with each job.
const maxAuthorities = 256 << 10

// authorities gives the certificates of a host's ca-file, afresh each time so
// that a new file counts at once. Only certificates are taken: a private key
// that somebody left in the file stays where it is.
func (i Instance) authorities() (string, error) {
	if i.CAFile == "" {
		return "", nil
	}
	hint := "name a file with the certificates of the host's own authority, in PEM, that the controller can read"
	f, err := os.Open(i.CAFile)
	if err != nil {
		return "", sdk.WithHint(sdk.Errorf(sdk.Invalid, "ca-file can't be read: %w", err), hint)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxAuthorities+1))
	switch {
	case err != nil:
		return "", sdk.WithHint(sdk.Errorf(sdk.Invalid, "ca-file can't be read: %w", err), hint)
	case len(data) > maxAuthorities:
		return "", sdk.WithHint(sdk.Errorf(sdk.Invalid, "ca-file %q is larger than 256 KiB", i.CAFile), hint)
	}
	var certificates []byte
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		if block.Type == "CERTIFICATE" {
			block.Headers = nil
			certificates = append(certificates, pem.EncodeToMemory(block)...)
		}
	}
	if certificates == nil {
		return "", sdk.WithHint(sdk.Errorf(sdk.Invalid, "ca-file %q has no certificate in PEM", i.CAFile), hint)
	}
	return string(certificates), nil
}
